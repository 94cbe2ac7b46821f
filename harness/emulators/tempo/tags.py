"""Tag names and tag values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.emulators.go_durations import format_duration
from harness.emulators.tempo.gotext import format_float
from harness.emulators.tempo.instance import Instance
from harness.emulators.tempo.search import HALF_A_RANGE, BadRequest, evaluator_of, number, query_rows
from harness.emulators.tempo.spans import KINDS, SPAN_COLUMNS, STATUSES, Attributes, Span, Value
from harness.emulators.tempo.traceql import syntax
from harness.emulators.tempo.traceql.check import parse_attribute
from harness.emulators.tempo.traceql.evaluate import EvaluationError
from harness.emulators.tempo.traceql.fetch import intrinsic_values, values
from harness.emulators.tempo.traceql.parser import NotEmulatedError, TraceQLError

INTRINSICS = [
    "duration", "event:name", "event:timeSinceStart", "instrumentation:name", "instrumentation:version", "kind",
    "link:spanID", "link:traceID", "name", "rootName", "rootServiceName", "span:duration", "span:id", "span:kind",
    "span:name", "span:parentID", "span:status", "span:statusMessage", "status", "statusMessage", "trace:duration",
    "trace:id", "trace:rootName", "trace:rootService", "traceDuration",
]  # fmt: skip
SCOPES = ("resource", "span", "event", "link", "instrumentation")
UNLISTED = frozenset({"duration", "traceDuration", "event:timeSinceStart", "span:id", "trace:id", "span:parentID"})
"""Intrinsics whose values are not listed."""


def _range(instance: Instance, parameters: Mapping[str, str]) -> tuple[int, int]:
    """`start` and `end` in seconds; reversed ones count as very far apart. Raises BadRequest."""
    given = [name for name in ("start", "end") if parameters.get(name)]
    if len(given) == 1:
        raise BadRequest(HALF_A_RANGE)
    start, end = (number(parameters, name, 0) for name in ("start", "end"))
    longest = instance.settings.max_search_duration
    if (end - start) % (1 << 32) > longest:
        shown = format_duration(int(longest * 1e9))
        raise BadRequest(f"range specified by start and end exceeds {shown}. received start={start} end={end}")
    return start, end


def _limit(parameters: Mapping[str, str], most: int) -> int:
    """How many to show; what is no number is no limit."""
    text = parameters.get("limit", "")
    return (int(text) if text.isascii() and text.isdigit() else 0) or most


def _spans(instance: Instance, tenants: list[str], parameters: Mapping[str, str], query: str) -> Iterator[Span]:
    start, end = _range(instance, parameters)
    evaluator = None
    if query:
        try:
            evaluator = evaluator_of(instance, query)
        except (TraceQLError, NotEmulatedError):
            evaluator = None  # a broken filter is ignored, as in Tempo
    for tenant in tenants:
        for row in query_rows(instance, tenant, start, end):
            if evaluator is None:
                yield from row.spans
                continue
            try:
                yield from (span for one in evaluator.run(row) for span in one.spans)
            except EvaluationError:
                continue


def _maps(span: Span) -> Iterator[tuple[str, Attributes]]:
    yield "resource", span.owner.resource
    yield "span", span.attributes
    yield from (("event", event.attributes) for event in span.events)
    yield from (("link", link.attributes) for link in span.links)
    yield "instrumentation", span.owner.scope


def _names(instance: Instance, tenants: list[str], parameters: Mapping[str, str]) -> dict[str, set[str]]:
    query = parameters.get("q", "")
    found: dict[str, set[str]] = {scope: set() for scope in SCOPES}
    for span in _spans(instance, tenants, parameters, query):
        for scope, attributes in _maps(span):
            if not query or scope in {"resource", "span"}:
                found[scope].update(attributes)
    if query:
        # Dedicated columns are found in the block as a whole: they leak into filtered answers.
        for span in _spans(instance, tenants, parameters, ""):
            found["span"].update(key for key in span.attributes if key in SPAN_COLUMNS)
    return found


def _wanted(parameters: Mapping[str, str]) -> str:
    scope = parameters.get("scope", "")
    if scope not in {"", "none", "intrinsic", *SCOPES}:
        raise BadRequest(f"invalid scope: {scope}")
    return "" if scope == "none" else scope


def tag_names(instance: Instance, tenants: list[str], parameters: Mapping[str, str]) -> dict[str, Any]:
    """`/api/v2/search/tags`. Raises BadRequest."""
    _range(instance, parameters)
    scope = _wanted(parameters)
    shown = [{"name": "intrinsic", "tags": INTRINSICS}] if scope in {"", "intrinsic"} else []
    if scope == "intrinsic":
        return {"scopes": shown, "metrics": {}}
    left = _limit(parameters, 0)
    limited = left > 0
    for one, names in _names(instance, tenants, parameters).items():
        if scope not in {"", one} or not names or (limited and left <= 0):
            continue
        kept = sorted(names)[:left] if limited else sorted(names)
        left -= len(kept)
        shown.append({"name": one, "tags": kept})
    return {"scopes": shown, "metrics": _inspected(instance, tenants)}


def tag_values(instance: Instance, tenants: list[str], name: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """`/api/v2/search/tag/{name}/values`: typed values of a scoped name. Raises BadRequest."""
    _range(instance, parameters)
    try:
        attribute = parse_attribute(name)
    except TraceQLError as error:
        raise BadRequest(f"please provide a valid tagName: {error}") from error
    if attribute.intrinsic and attribute.name in {"status", "kind"}:
        words = STATUSES if attribute.name == "status" else KINDS
        shown = [{"type": "keyword", "value": word} for word in words]
        return {"tagValues": shown[: _limit(parameters, len(shown))], "metrics": {}}
    if attribute.intrinsic and attribute.name in UNLISTED:
        return {"tagValues": [], "metrics": {}}
    found = sorted(_values(instance, tenants, attribute, parameters), key=lambda pair: pair[1].lower())
    return {
        "tagValues": [{"type": kind, "value": text} for kind, text in found[: _limit(parameters, len(found))]],
        "metrics": _inspected(instance, tenants),
    }


def _values(
    instance: Instance, tenants: list[str], attribute: syntax.Attribute, parameters: Mapping[str, str]
) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for span in _spans(instance, tenants, parameters, parameters.get("q", "")):
        for value in intrinsic_values(span, attribute.name) if attribute.intrinsic else values(span, attribute):
            for item in value if isinstance(value, list) else (value,):
                found.add(_typed(item))
    return {(kind, text) for kind, text in found if text}


def _typed(value: Value) -> tuple[str, str]:
    if isinstance(value, bool):
        return "bool", str(value).lower()
    if isinstance(value, float):
        return "float", format_float(value)
    return ("int" if isinstance(value, int) else "string"), str(value)


def _inspected(instance: Instance, tenants: list[str]) -> dict[str, str]:
    size = sum(block.size for tenant in tenants for block in instance.store.searchable(tenant))
    return {"inspectedBytes": str(size)} if size else {}
