"""`/api/search`: parameters, TraceQL and tag searches, results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.emulators.go_durations import format_duration, parse_duration
from harness.emulators.tempo.gotext import parse_uint
from harness.emulators.tempo.instance import Instance
from harness.emulators.tempo.results import matched_entry, merge, trace_entry
from harness.emulators.tempo.settings import Settings
from harness.emulators.tempo.spans import STATUSES, Span, TraceRow, word
from harness.emulators.tempo.traceql.check import parse_query
from harness.emulators.tempo.traceql.evaluate import Evaluator
from harness.emulators.tempo.traceql.fetch import Regex, root_service
from harness.emulators.tempo.traceql.parser import TraceQLError

_TAG = re.compile(r'\s+|([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s="]*)))?')
HALF_A_RANGE = "error parsing date range: only one of start and end provided: must provide both or neither"


class BadRequest(Exception):
    """A request Tempo answers 400 to; the message is the body."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search. Times in Unix seconds (0: not given), durations in nanoseconds."""

    query: str
    tags: Mapping[str, str]
    limit: int
    spans_per_set: int
    start: int
    end: int
    shortest: int
    longest: int


def number(parameters: Mapping[str, str], name: str, default: int) -> int:
    """An unsigned 32-bit parameter. Raises BadRequest in strconv's words."""
    text = parameters.get(name, "")
    if not text:
        return default
    try:
        return parse_uint(text)
    except ValueError as error:
        raise BadRequest(f"invalid {name}: {error}") from error


def time_range(parameters: Mapping[str, str]) -> tuple[int, int]:
    """`start` and `end` in seconds. Raises BadRequest when only one is given or they are reversed."""
    start, end = number(parameters, "start", 0), number(parameters, "end", 0)
    if (start or end) and start >= end:
        raise BadRequest(f"http parameter start must be before end. received start={start} end={end}")
    if bool(start) != bool(end):
        raise BadRequest(HALF_A_RANGE)
    return start, end


def _length(parameters: Mapping[str, str], name: str) -> int:
    try:
        return parse_duration(parameters[name]) if parameters.get(name) else 0
    except ValueError as error:
        raise BadRequest(f"invalid {name}: {error}") from error


def parse_request(parameters: Mapping[str, str], settings: Settings) -> SearchRequest:
    """A search from its parameters. Raises BadRequest."""
    query, tags = parameters.get("q", ""), parameters.get("tags", "")
    if query and tags:
        raise BadRequest("invalid request: can't specify tags and q in the same query")
    start, end = time_range(parameters)
    if end - start > settings.max_search_duration:
        longest = format_duration(int(settings.max_search_duration * 1e9))
        raise BadRequest(f"range specified by start and end exceeds {longest}. received start={start} end={end}")
    limit = number(parameters, "limit", settings.default_limit)
    if limit == 0:
        raise BadRequest("invalid limit: must be a positive number")
    if limit > settings.max_limit:
        raise BadRequest(f"limit {limit} exceeds max limit {settings.max_limit}")
    spans = number(parameters, "spss", 0) or settings.default_spans_per_set
    if spans > settings.max_spans_per_set:
        raise BadRequest(f"spans per span set exceeds {settings.max_spans_per_set}. received {spans}")
    low, high = (_length(parameters, name) for name in ("minDuration", "maxDuration"))
    if parameters.get("maxDuration") and low and low > high:
        raise BadRequest("invalid maxDuration: must be greater than minDuration")
    return SearchRequest(query, parse_tags(tags), limit, spans, start, end, low, high)


def parse_tags(text: str) -> dict[str, str]:
    """Tags in logfmt: `key=value key="a value" key`. Raises BadRequest in the decoder's words."""
    tags: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _TAG.match(text, at)
        if match is None:
            raise BadRequest(f"invalid tags: unexpected {text[at]!r} at pos {at + 1}")
        at = match.end()
        if match[3] == "" and text[at : at + 1] == '"':
            raise BadRequest(f"invalid tags: unterminated quoted value at pos {len(text) + 1}")
        if match[1] in tags:
            raise BadRequest(f"invalid tags: tag {match[1]} has been set twice")
        if match[1]:
            tags[match[1]] = (match[2] if match[2] is not None else match[3]) or ""
    return tags


def evaluator_of(instance: Instance, query: str) -> Evaluator:
    """A query ready to run. Raises TraceQLError or NotEmulatedError."""
    return Evaluator(parse_query(query), Regex("unanchored-regex" not in instance.defects))


def search(instance: Instance, tenants: list[str], request: SearchRequest) -> dict[str, Any]:
    """The answer to a search. Raises BadRequest, EvaluationError or NotEmulatedError."""
    evaluator = None
    if request.query:
        try:
            evaluator = evaluator_of(instance, request.query)
        except TraceQLError as error:
            raise BadRequest(f"invalid TraceQL query: {error}") from error
    newest = bool(evaluator and evaluator.query.hints.get("most_recent"))
    inspected: dict[str, int] = {}
    rows = _rows(instance, tenants, request.start, request.end, inspected)
    entries: list[dict[str, Any]] = []
    found: set[bytes] = set()
    for row in rows:
        entry = _matched(row, request, evaluator)
        if entry is None:
            continue
        entries.append(entry)
        found.add(row.trace_id)
        # Like Tempo, whichever are found first fill the limit: not the newest, unless asked.
        if len(found) >= request.limit and not newest:
            break
    jobs = instance.jobs(request.start, request.end) * len(tenants)
    metrics: dict[str, Any] = {"inspectedTraces": 1} if evaluator is None and inspected else {}
    size = sum(inspected.values())
    metrics |= {"inspectedBytes": str(size)} if size else {}
    metrics |= {"completedJobs": jobs, "totalJobs": jobs} if jobs else {}
    return {"traces": merge(entries, request.limit), "metrics": metrics}


def _rows(
    instance: Instance, tenants: list[str], start: int, end: int, inspected: dict[str, int]
) -> Iterator[TraceRow]:
    seen: set[tuple[str, bytes]] = set()
    for tenant in tenants:
        for block, low, high in instance.parts(tenant, start, end):
            inspected[block.block_id] = block.size
            for trace_id in block.ids:
                row = block.row(trace_id)
                key = (block.block_id, trace_id)
                if key not in seen and row.start <= high * 10**9 and row.end >= low * 10**9:
                    seen.add(key)
                    yield row


def _matched(row: TraceRow, request: SearchRequest, evaluator: Evaluator | None) -> dict[str, Any] | None:
    if evaluator:
        sets = evaluator.run(row)
        return matched_entry(row, sets, evaluator, request.spans_per_set) if sets else None
    if row.duration < request.shortest or (request.longest and row.duration > request.longest):
        return None
    wanted = all(any(_has_tag(span, key, text) for span in row.spans) for key, text in request.tags.items())
    return trace_entry(row) if wanted else None


SPECIAL: Mapping[str, Callable[[Span], object]] = {
    "name": lambda span: span.name,
    "status.code": lambda span: word(STATUSES, span.status),
    "root.name": lambda span: span.trace.root and span.trace.root.name,
    "root.service.name": root_service,
}
"""Tags that are no attributes."""


def _has_tag(span: Span, key: str, text: str) -> bool:
    if key in SPECIAL:
        return SPECIAL[key](span) == text
    for attributes in (span.attributes, span.owner.resource):
        value = attributes.get(key)
        values = value if isinstance(value, list) else [value]
        if text in values:  # a text: no number ever equals one
            return True
    return False


def query_rows(instance: Instance, tenant: str, start: int, end: int) -> Iterator[TraceRow]:
    """Every trace fragment that a search in the range would go through."""
    return _rows(instance, [tenant], start, end, {})
