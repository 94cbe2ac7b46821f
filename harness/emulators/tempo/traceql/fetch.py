"""What Tempo's storage hands to the query engine, which decides most of TraceQL's surprises.

A simple comparison is looked up in the column of the literal's own type, so a float never equals an integer literal
and `!=` needs the attribute to be present. A filter joined by `&&` alone returns only spans on which every comparison
was found; only what was found is visible to the expression afterwards, and is what results report.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.emulators.regexps import fits, occurs
from harness.emulators.tempo.spans import (
    KINDS,
    NO_ROOT,
    RESOURCE_COLUMNS,
    SPAN_COLUMNS,
    STATUSES,
    Attributes,
    Span,
    Value,
    has_generic,
    word,
)
from harness.emulators.tempo.traceql import syntax

Fetched = dict[syntax.Attribute, Value]
TYPES: dict[str, type] = {"int": int, "float": float, "string": str, "bool": bool}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Condition:
    """One look-up: an attribute, and a comparison unless any value will do."""

    attribute: syntax.Attribute
    op: str = ""
    operand: syntax.Static | None = None


@dataclass(frozen=True, slots=True)
class Regex:
    """How patterns are matched: whole value, unless the seeded defect is on; a dot is a line's end too (Tempo asks
    Prometheus' FastRegexMatcher)."""

    anchored: bool = True

    def matches(self, pattern: str, text: str) -> bool:
        """Whether `text` matches."""
        match = fits if self.anchored else occurs
        return match(pattern, text, dot_newline=True)


def same_type(value: object, kind: str) -> bool:
    """Whether a value has a literal's type; Python's bool is no int here."""
    return type(value) is TYPES.get(kind)


def compare(op: str, left: object, right: object, regex: Regex) -> bool:
    """A comparison of two present values; values of different kinds never compare."""
    if op in {"=~", "!~"}:
        if not isinstance(left, str) or not isinstance(right, str):
            return False
        return regex.matches(right, left) == (op == "=~")
    numeric = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (left, right))
    return (numeric or type(left) is type(right)) and COMPARE[op](left, right)


def conditions(expr: syntax.Field) -> tuple[list[Condition], bool]:
    """The look-ups of a filter, and whether a span must satisfy all of them."""
    found: list[Condition] = []
    return found, _collect(expr, found)


def _collect(expr: syntax.Field, found: list[Condition]) -> bool:
    if isinstance(expr, syntax.Attribute):
        found.append(Condition(expr))
    elif isinstance(expr, syntax.Unary):
        exists = expr.op in {"exists", "not exists"} and isinstance(expr.operand, syntax.Attribute)
        if exists and isinstance(expr.operand, syntax.Attribute):
            found.append(Condition(expr.operand, expr.op))
            return True
        return _collect(expr.operand, found)
    elif isinstance(expr, syntax.Binary):
        simple = _simple(expr)
        if simple:
            found.append(simple)
            return True
        both = _collect(expr.left, found), _collect(expr.right, found)
        return all(both) and expr.op != "||"
    return True


def _simple(expr: syntax.Binary) -> Condition | None:
    comparable = expr.op in COMPARE or expr.op in {"=~", "!~"}
    if comparable and isinstance(expr.left, syntax.Attribute) and isinstance(expr.right, syntax.Static):
        return Condition(expr.left, expr.op, expr.right)
    if comparable and isinstance(expr.left, syntax.Static) and isinstance(expr.right, syntax.Attribute):
        return Condition(expr.right, FLIPPED.get(expr.op, expr.op), expr.left)
    return None


def look_up(span: Span, condition: Condition, regex: Regex) -> tuple[bool, Value]:
    """Whether the span satisfies a condition, and the value found (for an array: the element)."""
    attribute = condition.attribute
    if condition.op == "not exists":
        return _missing(span, attribute), "nil"
    candidates = intrinsic_values(span, attribute.name) if attribute.intrinsic else values(span, attribute)
    for value in candidates:
        if not condition.op or condition.op == "exists" or condition.operand is None:
            return True, value
        for element in value if isinstance(value, list) else (value,):
            if _matches(attribute, condition, element, regex):
                return True, element
    return False, None


def _matches(attribute: syntax.Attribute, condition: Condition, value: object, regex: Regex) -> bool:
    operand = condition.operand
    if operand is None:
        return True
    wanted: object = operand.value
    if attribute.intrinsic and attribute.name in {"trace:id", "link:traceID"} and isinstance(wanted, str):
        wanted = wanted.rjust(32, "0") if not condition.op.endswith("~") else wanted
    if not attribute.intrinsic and not same_type(value, operand.type):
        return False
    return compare(condition.op, value, wanted, regex)


def _missing(span: Span, attribute: syntax.Attribute) -> bool:
    if any(True for _ in values(span, attribute)):
        return False
    of_resource = attribute.scope == "span" or has_generic(span.owner.resource, RESOURCE_COLUMNS)
    return of_resource and (attribute.scope == "resource" or has_generic(span.attributes, SPAN_COLUMNS))


def values(span: Span, attribute: syntax.Attribute) -> Iterator[Value]:
    """The values an attribute has on a span. Unscoped, the span's own hides the resource's."""
    for attributes in _maps(span, attribute.scope):
        value = attributes.get(attribute.name)
        if value is not None:
            yield value
            if not attribute.scope:
                return


def _maps(span: Span, scope: str) -> Iterator[Attributes]:
    if scope in {"", "span"}:
        yield span.attributes
    if scope in {"", "resource"}:
        yield span.owner.resource
    if scope in {"", "event"}:
        yield from (event.attributes for event in span.events)
    if scope in {"", "link"}:
        yield from (link.attributes for link in span.links)
    if scope in {"", "instrumentation"}:
        yield span.owner.scope


SPAN_FIELDS: dict[str, Callable[[Span], Value]] = {
    "name": lambda span: span.name,
    "status": lambda span: word(STATUSES, span.status),
    "statusMessage": lambda span: span.message,
    "kind": lambda span: word(KINDS, span.kind),
    "duration": lambda span: span.duration,
    "span:id": lambda span: span.span_id.hex(),
    "span:parentID": lambda span: span.parent_id.hex() or "0" * 16,
    "trace:id": lambda span: span.trace.trace_id.hex(),
    "traceDuration": lambda span: span.trace.duration,
    "instrumentation:name": lambda span: span.owner.name,
    "instrumentation:version": lambda span: span.owner.version,
    # Only the sign is meaningful: roots have -1, everything else some positive number.
    "nestedSetParent": lambda span: 1 if span.parent_id.strip(b"\0") else -1,
    "rootName": lambda span: span.trace.root.name if span.trace.root else NO_ROOT,
    "rootServiceName": lambda span: root_service(span),
}


def root_service(span: Span) -> str:
    """The service name of the trace's root, or Tempo's words for not having one."""
    root = span.trace.root
    return str(root.owner.resource.get("service.name") or NO_ROOT) if root else NO_ROOT


def intrinsic_values(span: Span, name: str) -> Iterator[Value]:
    """The values of an intrinsic. `childCount` and the nested set's borders are never found, as observed."""
    if name in SPAN_FIELDS:
        yield SPAN_FIELDS[name](span)
    elif name == "event:name":
        yield from (event.name for event in span.events)
    elif name == "event:timeSinceStart":
        yield from (event.since for event in span.events)
    elif name in {"link:traceID", "link:spanID"}:
        yield from (link.trace_id if name == "link:traceID" else link.span_id for link in span.links)
