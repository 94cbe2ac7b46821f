"""Runs the pipeline of a query over one trace and yields its spansets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from harness.emulators.tempo.spans import Span, TraceRow, Value
from harness.emulators.tempo.traceql import syntax
from harness.emulators.tempo.traceql.fetch import COMPARE, Condition, Fetched, Regex, compare, conditions, look_up


@dataclass(slots=True)
class Spanset:
    """Spans that belong together, with the values pipeline stages gave them (`count()`, `by(...)`)."""

    spans: list[Span]
    attributes: list[tuple[str, syntax.Static]] = field(default_factory=list)

    def extended(self, key: str, value: syntax.Static, spans: list[Span] | None = None) -> Spanset:
        """A copy with one more attribute."""
        return Spanset(self.spans if spans is None else spans, [*self.attributes, (key, value)])


class EvaluationError(Exception):
    """A query that fails while it runs; Tempo answers 500."""


def static_of(value: Value, kind: str = "") -> syntax.Static:
    """A value as a literal; `kind` where the value alone does not tell (durations, keywords)."""
    if value is None:
        return syntax.Static("nil", None)
    if isinstance(value, list):
        return syntax.Static("string", ", ".join(map(str, value)))
    plain = {str: "string", bool: "bool", int: "int", float: "float"}[type(value)]
    return syntax.Static(kind if kind in {"duration", "status", "kind"} else plain, value)


class Evaluator:
    """One query, ready to run over traces. Keeps what it fetched of each span of the current trace."""

    def __init__(self, query: syntax.Query, regex: Regex | None = None) -> None:
        self.query = query
        self._regex = regex or Regex()
        self._filters = {id(found): conditions(found.expr) for found in _filters(query.pipeline)}
        everything: list[Condition] = [one for found, _ in self._filters.values() for one in found]
        for expr in _stage_fields(query.pipeline):
            everything.extend(conditions(expr)[0])
        self._conditions = list(dict.fromkeys(everything))
        self._selected = [name for stage in _stages(query.pipeline) if isinstance(stage, syntax.Select)
                          for name in stage.attributes]  # fmt: skip
        self._cache: dict[Span, Fetched] = {}

    def run(self, trace: TraceRow) -> list[Spanset]:
        """The spansets of a trace, none when it does not match. Raises EvaluationError."""
        self._cache = {}
        return self._pipeline(self.query.pipeline, [Spanset(trace.spans)])

    def reported(self, span: Span) -> Fetched:
        """What a result says of a span: everything fetched, and what `select` asked for even when missing."""
        found = dict(self._fetched(span))
        for attribute in self._selected:
            hit, value = look_up(span, Condition(attribute), self._regex)
            found[attribute] = value if hit else "nil"
        return found

    # -- fields

    def _fetched(self, span: Span) -> Fetched:
        known = self._cache.get(span)
        if known is None:
            known = {}
            for condition in self._conditions:
                hit, value = look_up(span, condition, self._regex)
                if hit:
                    known[condition.attribute] = value
            self._cache[span] = known
        return known

    def _field(self, expr: syntax.Field, span: Span) -> Value:
        if isinstance(expr, syntax.Static):
            return expr.value
        if isinstance(expr, syntax.Attribute):
            return self._fetched(span).get(expr)
        if isinstance(expr, syntax.Unary):
            return self._unary(expr, span)
        left = self._field(expr.left, span)
        if expr.op in {"&&", "||"}:
            if isinstance(left, bool) and left == (expr.op == "||"):
                return left
            right = self._field(expr.right, span)
            return (left is True and right is True) if expr.op == "&&" else right is True
        return _binary(expr.op, left, self._field(expr.right, span), self._regex)

    def _unary(self, expr: syntax.Unary, span: Span) -> Value:
        if expr.op in {"exists", "not exists"}:
            found = self._fetched(span).get(expr.operand) if isinstance(expr.operand, syntax.Attribute) else None
            return found is not None and (found == "nil") == (expr.op == "not exists")
        value = self._field(expr.operand, span)
        if expr.op == "!" and isinstance(value, bool):
            return not value
        if expr.op == "-" and isinstance(value, int | float) and not isinstance(value, bool):
            return -value
        raise EvaluationError(f"expression ({expr}) expected a {'boolean' if expr.op == '!' else 'numeric'}")

    # -- stages

    def _pipeline(self, pipeline: syntax.Pipeline, sets: list[Spanset]) -> list[Spanset]:
        for stage in pipeline.stages:
            sets = self._stage(stage, sets)
            if not sets:
                break
        return sets

    def _stage(self, stage: syntax.Stage, sets: list[Spanset]) -> list[Spanset]:
        if isinstance(stage, syntax.Filter):
            kept = ((one, [span for span in one.spans if self._accepts(stage, span)]) for one in sets)
            return [Spanset(spans, one.attributes) for one, spans in kept if spans]
        if isinstance(stage, syntax.SpansetOperation):
            return [joined for one in sets if (joined := self._join(stage, one))]
        if isinstance(stage, syntax.Pipeline):
            return self._pipeline(stage, sets)
        if isinstance(stage, syntax.GroupBy):
            return [group for one in sets for group in self._group(stage, one)]
        if isinstance(stage, syntax.Coalesce):
            return [Spanset([span for one in sets for span in one.spans])]
        if isinstance(stage, syntax.ScalarFilter):
            return [passed for one in sets if (passed := self._scalar(stage, one))]
        return sets

    def _accepts(self, stage: syntax.Filter, span: Span) -> bool:
        wanted, together = self._filters[id(stage)]
        hits = (look_up(span, condition, self._regex)[0] for condition in wanted)
        if wanted and not (all(hits) if together else any(hits)):
            return False
        return self._field(stage.expr, span) is True

    def _group(self, stage: syntax.GroupBy, one: Spanset) -> Iterable[Spanset]:
        groups: dict[tuple[type, str], tuple[Value, list[Span]]] = {}
        for span in one.spans:
            value = self._field(stage.expr, span)
            groups.setdefault((type(value), str(value)), (value, []))[1].append(span)
        kind = stage.expr.type if isinstance(stage.expr, syntax.Attribute) else ""
        return [one.extended(str(stage), static_of(value, kind), spans) for value, spans in groups.values()]

    def _scalar(self, stage: syntax.ScalarFilter, one: Spanset) -> Spanset | None:
        aggregate, wanted = stage.left, stage.right
        if not isinstance(aggregate, syntax.Aggregate) or not isinstance(wanted, syntax.Static):
            raise EvaluationError(f"scalar filter lhs ({aggregate}) not supported")
        value, kind = self._aggregate(aggregate, one)
        if value is None or not COMPARE[stage.op](value, wanted.value):
            return None
        return one.extended(str(aggregate), static_of(value, kind))

    def _aggregate(self, aggregate: syntax.Aggregate, one: Spanset) -> tuple[int | float | None, str]:
        if aggregate.expr is None:
            return len(one.spans), "int"
        found = [self._field(aggregate.expr, span) for span in one.spans]
        numbers = [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)]
        kind = aggregate.expr.type if isinstance(aggregate.expr, syntax.Attribute) else ""
        if not numbers:
            return None, kind
        if aggregate.op == "avg":
            # Spans without the attribute count in the divisor: observed on 3.0.3.
            mean = sum(numbers) / len(one.spans)
            return (int(mean) if kind == "duration" else mean), kind
        folds: dict[str, Callable[[list[int | float]], int | float]] = {"min": min, "max": max, "sum": sum}
        return folds[aggregate.op](numbers), kind

    # -- two spansets

    def _join(self, stage: syntax.SpansetOperation, one: Spanset) -> Spanset | None:
        sides = [self._stage(side, [one]) for side in (stage.left, stage.right)]
        if stage.op in {"&&", "||"}:
            if not (all(sides) if stage.op == "&&" else any(sides)):
                return None
            spans = _unique([sets[0].spans for sets in reversed(sides) if sets])
        else:
            if any(len(sets) > 1 for sets in sides):
                raise EvaluationError("spanset operators are not supported for multiple spansets per trace. "
                                      "consider using coalesce()")  # fmt: skip
            left, right = ([span for found in sets for span in found.spans] for sets in sides)
            spans = _related(stage.op, left, right)
        return Spanset(spans, one.attributes) if spans else None


def _binary(op: str, left: Value, right: Value, regex: Regex) -> Value:
    if left is None or right is None:
        return op == "!=" and left is not right
    if isinstance(left, list) or isinstance(right, list):
        return False
    if op in COMPARE or op in {"=~", "!~"}:
        return compare(op, left, right, regex)
    if isinstance(left, str | bool) or isinstance(right, str | bool):
        return None
    return _arithmetic(op, left, right)


def _arithmetic(op: str, left: float, right: float) -> Value:
    whole = isinstance(left, int) and isinstance(right, int)
    if op in {"/", "%"} and right == 0:
        return None if whole else math.nan
    if op == "/":
        return int(left / right) if whole else left / right
    if op == "%":
        return int(math.fmod(left, right)) if whole else math.fmod(left, right)
    return {"+": left + right, "-": left - right, "*": left * right}.get(op) if op != "^" else left**right


def _unique(groups: Sequence[list[Span]]) -> list[Span]:
    return list(dict.fromkeys(span for group in groups for span in group))


def _parent(span: Span, family: dict[bytes, Span]) -> Span | None:
    return family.get(span.parent_id) if span.parent_id.strip(b"\0") else None


def _ancestors(span: Span, family: dict[bytes, Span]) -> Iterable[Span]:
    seen = {span.span_id}
    above = _parent(span, family)
    while above and above.span_id not in seen:
        seen.add(above.span_id)
        yield above
        above = _parent(above, family)


def _related(op: str, left: list[Span], right: list[Span]) -> list[Span]:
    if not right:
        return []
    family = right[0].trace.family()
    relation = op.lstrip("!&")
    tests: dict[str, Callable[[Span, Span], bool]] = {
        ">": lambda a, b: _parent(b, family) is a,
        "<": lambda a, b: _parent(a, family) is b,
        ">>": lambda a, b: any(above is a for above in _ancestors(b, family)),
        "<<": lambda a, b: any(above is b for above in _ancestors(a, family)),
        "~": lambda a, b: a is not b and bool(b.parent_id.strip(b"\0")) and a.parent_id == b.parent_id,
    }
    test = tests[relation]
    if op.startswith("!"):
        return [b for b in right if not any(test(a, b) for a in left)]
    matched = [b for b in right if any(test(a, b) for a in left)]
    if not op.startswith("&"):
        return matched
    return _unique([matched, [a for a in left if any(test(a, b) for b in right)]])


def _stages(stage: syntax.Stage) -> Iterable[syntax.Stage]:
    yield stage
    inner: tuple[syntax.Stage, ...] = ()
    if isinstance(stage, syntax.Pipeline):
        inner = stage.stages
    elif isinstance(stage, syntax.SpansetOperation):
        inner = (stage.left, stage.right)
    for one in inner:
        yield from _stages(one)


def _filters(stage: syntax.Stage) -> list[syntax.Filter]:
    return [one for one in _stages(stage) if isinstance(one, syntax.Filter)]


def _stage_fields(pipeline: syntax.Pipeline) -> Iterable[syntax.Field]:
    for stage in _stages(pipeline):
        if isinstance(stage, syntax.GroupBy):
            yield stage.expr
        if isinstance(stage, syntax.ScalarFilter) and isinstance(stage.left, syntax.Aggregate) and stage.left.expr:
            yield stage.left.expr
