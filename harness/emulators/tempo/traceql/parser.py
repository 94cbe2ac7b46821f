"""TraceQL queries: spansets, pipelines, metrics and hints, by recursive descent."""

from __future__ import annotations

from harness.emulators.tempo.traceql import syntax
from harness.emulators.tempo.traceql.fields import FieldParser
from harness.emulators.tempo.traceql.lexer import METRICS, TraceQLError

COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
STRUCTURAL = frozenset({">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~"})
AGGREGATES = frozenset({"count", "avg", "max", "min", "sum"})


class NotEmulatedError(Exception):
    """Valid TraceQL that this emulator does not evaluate."""


class Parser(FieldParser):
    """Parses one query; `query()` for a whole one, `attribute_alone()` for a tag name."""

    # -- whole queries

    def query(self) -> syntax.Query:
        """The whole text as a query. Raises TraceQLError or NotEmulatedError."""
        pipeline, metrics = self._pipeline()
        hints = self._hints() if self._has("with") else {}
        if not self._has("$end"):
            raise self._unexpected()
        return syntax.Query(pipeline, metrics, hints)

    def attribute_alone(self) -> syntax.Attribute:
        """The text `{name}` as one attribute or intrinsic. Raises TraceQLError."""
        self._expect("{")
        expr = self._field(0)
        self._expect("}")
        if not isinstance(expr, syntax.Attribute):
            raise TraceQLError("failed to assert attribute")
        return expr

    def _hints(self) -> dict[str, str | int | float | bool | None]:
        self._advance()
        self._expect("(")
        hints: dict[str, str | int | float | bool | None] = {}
        while True:
            name = self._expect("IDENTIFIER")
            self._expect("=")
            hints[str(name.value)] = self._static().value
            if not self._has(","):
                break
            self._advance()
        self._expect(")", ",")
        return hints

    def _pipeline(self) -> tuple[syntax.Pipeline, syntax.Metrics | None]:
        stages = [self._stage()]
        while self._has("|"):
            self._advance()
            if self._has(*METRICS):
                return syntax.Pipeline(tuple(stages)), self._metrics()
            stages.append(self._coalesce() if self._has("coalesce") else self._stage())
        return syntax.Pipeline(tuple(stages)), None

    def _stage(self) -> syntax.Stage:
        if self._has("{", "("):
            return self._spanset(0)
        if self._has("by"):
            self._advance()
            self._expect("(")
            expr = self._field(0)
            self._close()
            return syntax.GroupBy(expr)
        if self._has("select"):
            self._advance()
            return syntax.Select(self._attributes())
        return self._scalar_filter()

    def _coalesce(self) -> syntax.Stage:
        self._advance()
        self._expect("(")
        self._expect(")")
        return syntax.Coalesce()

    # -- spansets

    def _spanset(self, floor: int) -> syntax.Stage:
        left = self._spanset_operand()
        while True:
            op = self._token.kind
            binding = 1 if op in {"&&", "||"} else 2 if op in STRUCTURAL else 0
            if binding <= floor:
                return left
            self._advance()
            left = syntax.SpansetOperation(op, left, self._spanset(binding))

    def _spanset_operand(self) -> syntax.Stage:
        if self._has("{"):
            return self._filter()
        if not self._has("("):
            raise self._unexpected("{", "(")
        self._advance()
        pipeline, metrics = self._pipeline()
        if metrics:
            raise NotEmulatedError("arithmetic between TraceQL metrics queries")
        self._close()
        return pipeline.stages[0] if len(pipeline.stages) == 1 else pipeline

    def _filter(self) -> syntax.Filter:
        self._expect("{")
        if self._has("}"):
            self._advance()
            return syntax.Filter(syntax.Static("bool", True))
        expr = self._field(0)
        if not self._has("}"):
            raise self._unexpected()
        self._advance()
        return syntax.Filter(expr)

    # -- scalars

    def _scalar_filter(self) -> syntax.ScalarFilter:
        left = self._scalar()
        if not self._has(*COMPARISONS):
            raise self._unexpected()
        op = self._advance().kind
        return syntax.ScalarFilter(op, left, self._scalar())

    def _scalar(self) -> syntax.Aggregate | syntax.Static:
        if self._has(*AGGREGATES):
            op = self._advance().kind
            self._expect("(")
            if op == "count":
                self._expect(")")
                return syntax.Aggregate(op, None)
            expr = self._field(0)
            self._close()
            return syntax.Aggregate(op, expr)
        if self._has("INTEGER", "FLOAT", "DURATION", "-"):
            return self._number()
        raise self._unexpected()

    def _number(self) -> syntax.Static:
        negative = self._has("-")
        if negative:
            self._advance()
        if not self._has("INTEGER", "FLOAT", "DURATION"):
            raise self._unexpected()
        token = self._advance()
        value = -token.value if negative and not isinstance(token.value, str) else token.value
        return syntax.Static({"INTEGER": "int"}.get(token.kind, token.kind.lower()), value)

    # -- metrics

    def _metrics(self) -> syntax.Metrics:
        op = self._advance().kind
        self._expect("(")
        if op == "compare":
            raise NotEmulatedError("compare()")
        attribute: syntax.Attribute | None = None
        quantiles: tuple[float, ...] = ()
        if op not in {"rate", "count_over_time"}:
            attribute = self._attribute()
        if op == "quantile_over_time":
            quantiles = self._quantiles()
        self._expect(")")
        by: tuple[syntax.Attribute, ...] = ()
        if self._has("by"):
            self._advance()
            by = self._attributes()
        return syntax.Metrics(op, attribute, by, quantiles, self._second_stages())

    def _quantiles(self) -> tuple[float, ...]:
        found: list[float] = []
        self._expect(",")
        while True:
            if not self._has("INTEGER", "FLOAT"):
                raise self._unexpected("INTEGER", "FLOAT")
            found.append(float(self._advance().value))
            if not self._has(","):
                return tuple(found)
            self._advance()

    def _second_stages(self) -> tuple[syntax.SecondStage, ...]:
        stages: list[syntax.SecondStage] = []
        while self._has("|", *COMPARISONS):
            op = self._advance().kind
            if op == "|":
                if not self._has("topk", "bottomk"):
                    raise self._unexpected("topk", "bottomk")
                op = self._advance().kind
                self._expect("(")
                value = float(self._expect("INTEGER").value)
                self._expect(")")
            else:
                static = self._number()
                value = float(static.value or 0) / (1e9 if static.type == "duration" else 1)
            stages.append(syntax.SecondStage(op, value))
        return tuple(stages)
