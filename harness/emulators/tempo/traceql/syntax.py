"""The TraceQL tree. `str()` of a node is how Tempo spells it in error messages and result labels."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.emulators.go_durations import format_duration
from harness.emulators.tempo.gotext import format_float

INTRINSIC_TYPES = {
    "name": "string", "status": "status", "kind": "kind", "statusMessage": "string", "rootName": "string",
    "rootServiceName": "string", "duration": "duration", "traceDuration": "duration", "nestedSetLeft": "int",
    "nestedSetRight": "int", "nestedSetParent": "int", "childCount": "int", "span:id": "string", "trace:id": "string",
    "span:parentID": "string", "event:name": "string", "event:timeSinceStart": "duration", "link:traceID": "string",
    "link:spanID": "string", "instrumentation:name": "string", "instrumentation:version": "string", "parent": "nil",
}  # fmt: skip
"""Every intrinsic under the name Tempo reports it by, with the type of its values."""


@dataclass(frozen=True, slots=True)
class Static:
    """A literal. `type` is int, float, string, bool, duration (nanoseconds), status, kind or nil."""

    type: str
    value: str | int | float | bool | None

    def __str__(self) -> str:
        if self.type == "string":
            return f"`{self.value}`"
        if self.type == "duration":
            return format_duration(int(self.value or 0))
        if self.type == "float":
            text = format_float(float(self.value or 0))
            return text if "." in text or "e" in text else f"{text}.0"
        if self.value is None or isinstance(self.value, bool):
            return {None: "nil", True: "true", False: "false"}[self.value]
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute (`scope` empty means unscoped) or, with `intrinsic` set, a field of the span itself."""

    scope: str
    name: str
    intrinsic: bool = False

    @property
    def type(self) -> str:
        """The type of its values, `attribute` when only the data can tell."""
        return INTRINSIC_TYPES[self.name] if self.intrinsic else "attribute"

    def __str__(self) -> str:
        return self.name if self.intrinsic else f"{self.scope}.{self.name}"


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x`, `!x`, and `exists` / `not exists`, which are written `x != nil` and `x = nil`."""

    op: str
    operand: Field

    def __str__(self) -> str:
        if self.op in {"exists", "not exists"}:
            return f"{wrapped(self.operand)} {'!=' if self.op == 'exists' else '='} nil"
        return f"{self.op}{wrapped(self.operand)}"


@dataclass(frozen=True, slots=True)
class Binary:
    """An operation of two fields."""

    op: str
    left: Field
    right: Field

    def __str__(self) -> str:
        return f"{wrapped(self.left)} {self.op} {wrapped(self.right)}"


Field = Static | Attribute | Unary | Binary


def wrapped(node: object) -> str:
    """An operand as text: literals and attributes bare, everything else in parentheses."""
    return str(node) if isinstance(node, Static | Attribute | Aggregate) else f"({node})"


@dataclass(frozen=True, slots=True)
class Filter:
    """`{ expr }`."""

    expr: Field

    def __str__(self) -> str:
        return f"{{ {self.expr} }}"


@dataclass(frozen=True, slots=True)
class SpansetOperation:
    """Two spansets joined: `&&`, `||` or a structural operator."""

    op: str
    left: Stage
    right: Stage


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages run one after the other."""

    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`count()`, or `avg min max sum` of a field."""

    op: str
    expr: Field | None

    def __str__(self) -> str:
        return f"{self.op}({'' if self.expr is None else self.expr})"


@dataclass(frozen=True, slots=True)
class ScalarFilter:
    """An aggregate compared with a literal."""

    op: str
    left: Aggregate | Static
    right: Aggregate | Static

    def __str__(self) -> str:
        return f"{wrapped(self.left)} {self.op} {wrapped(self.right)}"


@dataclass(frozen=True, slots=True)
class GroupBy:
    """`by(expr)`."""

    expr: Field

    def __str__(self) -> str:
        return f"by({self.expr})"


@dataclass(frozen=True, slots=True)
class Coalesce:
    """`coalesce()`."""


@dataclass(frozen=True, slots=True)
class Select:
    """`select(a, b)`."""

    attributes: tuple[Attribute, ...]


Stage = Filter | SpansetOperation | Pipeline | ScalarFilter | GroupBy | Coalesce | Select


@dataclass(frozen=True, slots=True)
class SecondStage:
    """`topk(n)`, `bottomk(n)` or a comparison of the resulting series with a number."""

    op: str
    value: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics aggregate that ends a query."""

    op: str
    attribute: Attribute | None = None
    by: tuple[Attribute, ...] = ()
    quantiles: tuple[float, ...] = ()
    then: tuple[SecondStage, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query."""

    pipeline: Pipeline
    metrics: Metrics | None = None
    hints: dict[str, str | int | float | bool | None] = field(default_factory=dict)
