"""What Tempo refuses in a query that parses: operand types, regular expressions, what is not supported yet."""

from __future__ import annotations

from harness.emulators import regexps
from harness.emulators.tempo.traceql import syntax
from harness.emulators.tempo.traceql.parser import NotEmulatedError, TraceQLError, parse

NUMERIC = frozenset({"int", "float", "duration"})
ALLOWED = {
    "bool": frozenset({"&&", "||", "=", "!="}),
    **dict.fromkeys(NUMERIC, frozenset({"+", "-", "*", "/", "%", "^", "=", "!=", ">", ">=", "<", "<="})),
    "string": frozenset({"=", "!=", "=~", "!~", ">", ">=", "<", "<="}),
    **dict.fromkeys(("nil", "status", "kind"), frozenset({"=", "!="})),
}
"""Which operators each type takes."""


def parse_query(text: str) -> syntax.Query:
    """Parse and check a query. Raises TraceQLError in Tempo's words, NotEmulatedError for what is left out."""
    try:
        query: syntax.Query = parse(text)
        _pipeline(query.pipeline)
    except RecursionError as error:
        raise NotEmulatedError("queries nested this deep") from error
    if query.metrics:
        _metrics(query.metrics)
    return query


def parse_attribute(name: str) -> syntax.Attribute:
    """A tag name such as `span.http.method` or `status`. Raises TraceQLError."""
    try:
        found = parse("{" + name + "}", "tag")
    except TraceQLError as error:
        raise TraceQLError(f"failed to parse identifier {name}: {error}") from error
    if not isinstance(found, syntax.Attribute):
        raise TraceQLError(f"failed to parse identifier {name}: failed to assert attribute")
    return found


def type_of(expr: syntax.Field) -> str:
    """The type an expression is known to have before any data is seen; `attribute` when it is not known."""
    if isinstance(expr, syntax.Static | syntax.Attribute):
        return expr.type
    if isinstance(expr, syntax.Unary):
        return "bool" if expr.op in {"exists", "not exists"} else type_of(expr.operand)
    if expr.op in {"=", "!=", "<", "<=", ">", ">=", "=~", "!~", "&&", "||"}:
        return "bool"
    left = type_of(expr.left)
    return left if left != "attribute" else type_of(expr.right)


def _pipeline(pipeline: syntax.Pipeline) -> None:
    for stage in pipeline.stages:
        _stage(stage)


def _stage(stage: syntax.Stage) -> None:
    if isinstance(stage, syntax.Pipeline):
        _pipeline(stage)
    elif isinstance(stage, syntax.SpansetOperation):
        _stage(stage.left)
        _stage(stage.right)
    elif isinstance(stage, syntax.Filter):
        _field(stage.expr)
        if type_of(stage.expr) not in {"attribute", "bool"}:
            raise TraceQLError(f"span filter field expressions must resolve to a boolean: {stage}")
    elif isinstance(stage, syntax.GroupBy):
        if not _references_span(stage.expr):
            raise TraceQLError(f"grouping field expressions must reference the span: {stage}")
        _field(stage.expr)
    elif isinstance(stage, syntax.ScalarFilter):
        _scalar_filter(stage)


def _scalar_filter(stage: syntax.ScalarFilter) -> None:
    types = [_aggregate(side) for side in (stage.left, stage.right)]
    _operands(stage.op, types[0], types[1], str(stage))
    if not isinstance(stage.left, syntax.Aggregate):
        raise TraceQLError("scalar filter lhs of type (%v) not yet supported")
    if not isinstance(stage.right, syntax.Static):
        raise TraceQLError("scalar filter rhs of type (%v) not yet supported")


def _aggregate(side: syntax.Aggregate | syntax.Static) -> str:
    if isinstance(side, syntax.Static):
        return side.type
    if side.expr is None:
        return "int"
    _field(side.expr)
    found = type_of(side.expr)
    if found != "attribute" and found not in NUMERIC:
        raise TraceQLError(f"aggregate field expressions must resolve to a number type: {side}")
    if not _references_span(side.expr):
        raise TraceQLError(f"aggregate field expressions must reference the span: {side}")
    return found


def _references_span(expr: syntax.Field) -> bool:
    if isinstance(expr, syntax.Unary):
        return _references_span(expr.operand)
    if isinstance(expr, syntax.Binary):
        return _references_span(expr.left) or _references_span(expr.right)
    return isinstance(expr, syntax.Attribute)


def _field(expr: syntax.Field) -> None:
    if isinstance(expr, syntax.Attribute):
        if expr.scope == "parent":
            raise TraceQLError("parent not yet supported")
        if expr.intrinsic and expr.name == "parent":
            raise TraceQLError("intrinsic (parent) not yet supported")
    elif isinstance(expr, syntax.Unary):
        _unary(expr)
    elif isinstance(expr, syntax.Binary):
        _field(expr.left)
        _field(expr.right)
        _operands(expr.op, type_of(expr.left), type_of(expr.right), str(expr))
        if expr.op in {"=~", "!~"}:
            _regex(expr)


def _unary(expr: syntax.Unary) -> None:
    _field(expr.operand)
    if expr.op == "not exists" and isinstance(expr.operand, syntax.Attribute):
        what = expr.operand
        if what.intrinsic:
            raise TraceQLError(f"{what}=nil is not valid because intrinsics cannot be nil")
        if (what.scope, what.name) == ("resource", "service.name"):
            raise TraceQLError(f"{what}=nil is not valid because resource.service.name cannot be nil")
    found = type_of(expr.operand)
    legal = {"-": found in NUMERIC, "!": found == "bool"}.get(expr.op, True)
    if found != "attribute" and not legal:
        raise TraceQLError(f"illegal operation for the given type: {expr}")


def _operands(op: str, left: str, right: str, text: str) -> None:
    both = {left, right}
    if "attribute" not in both and "nil" not in both and left != right and not both <= NUMERIC:
        raise TraceQLError(f"binary operations must operate on the same type: {text}")
    if any(side != "attribute" and op not in ALLOWED[side] for side in (left, right)):
        raise TraceQLError(f"illegal operation for the given types: {text}")


def _regex(expr: syntax.Binary) -> None:
    pattern = expr.right
    if not isinstance(pattern, syntax.Static) or pattern.type != "string":
        raise TraceQLError(f"invalid type for =~ or !~: {pattern}")
    try:
        regexps.check(str(pattern.value))
    except regexps.InvalidRegexpError as error:
        raise TraceQLError(f"invalid regex: {pattern}") from error


def _metrics(metrics: syntax.Metrics) -> None:
    for quantile in metrics.quantiles:
        if not 0 <= quantile <= 1:
            raise TraceQLError(f"quantile must be between 0 and 1: {quantile:g}")
    if any(stage.op in {"topk", "bottomk"} and stage.value < 1 for stage in metrics.then):
        raise TraceQLError("limit must be greater than 0")
    for attribute in (*metrics.by, *((metrics.attribute,) if metrics.attribute else ())):
        _field(attribute)
