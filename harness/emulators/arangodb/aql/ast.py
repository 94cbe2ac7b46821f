"""The syntax tree of a query."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Expr:
    """Any expression."""


@dataclass(slots=True, eq=False)
class Literal(Expr):
    """A constant."""

    value: Any


@dataclass(slots=True, eq=False)
class Name(Expr):
    """A variable, or a collection if no such variable is in scope."""

    name: str


@dataclass(slots=True, eq=False)
class DataSource(Expr):
    """A collection by its (bound) name."""

    name: str


@dataclass(slots=True, eq=False)
class Element(Expr):
    """`base[index]`; `base.name` is one with a literal index."""

    base: Expr
    index: Expr


@dataclass(slots=True, eq=False)
class Expansion(Expr):
    """`base[* FILTER condition LIMIT offset, count RETURN result]suffix`; the later three are over CURRENT."""

    base: Expr
    condition: Expr | None = None
    limit: Limit | None = None
    result: Expr | None = None
    suffix: Expr | None = None


@dataclass(slots=True, eq=False)
class Unary(Expr):
    """`op operand`."""

    op: str
    operand: Expr


@dataclass(slots=True, eq=False)
class Binary(Expr):
    """`left op right`, including AND, OR, IN, LIKE and `..`."""

    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Quantified(Expr):
    """`left ALL|ANY|NONE op right`."""

    quantifier: str
    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Ternary(Expr):
    """`condition ? yes : no`; without `yes` the condition's value is used."""

    condition: Expr
    yes: Expr | None
    no: Expr


@dataclass(slots=True, eq=False)
class Call(Expr):
    """A function call; `name` is upper case."""

    name: str
    args: list[Expr]


@dataclass(slots=True, eq=False)
class ArrayOf(Expr):
    """`[a, b]`."""

    items: list[Expr]


@dataclass(slots=True, eq=False)
class ObjectOf(Expr):
    """`{name: value}`."""

    items: list[tuple[Expr, Expr]]


@dataclass(slots=True, eq=False)
class Subquery(Expr):
    """`(FOR ... RETURN ...)`."""

    statements: list[Statement]


@dataclass(slots=True, eq=False)
class Statement:
    """Any statement."""


@dataclass(slots=True, eq=False)
class For(Statement):
    """`FOR variable IN source`."""

    variable: str
    source: Expr
    options: Expr | None = None


@dataclass(slots=True, eq=False)
class Walk(Statement):
    """A traversal (`kind` is empty), or SHORTEST_PATH and its relatives, which have a `target`.

    Edges come from a named graph or from edge collections, each with a direction of its own.
    """

    kind: str
    variables: list[str]
    depth: Expr
    direction: str
    start: Expr
    target: Expr | None = None
    graph: Expr | None = None
    edges: list[tuple[str, DataSource]] = field(default_factory=list)
    prune: Expr | None = None
    prune_variable: str = ""
    options: Expr | None = None


@dataclass(slots=True, eq=False)
class Let(Statement):
    """`LET variable = value`."""

    variable: str
    value: Expr


@dataclass(slots=True, eq=False)
class Filter(Statement):
    """`FILTER condition`."""

    condition: Expr


@dataclass(slots=True, eq=False)
class Sort(Statement):
    """`SORT a ASC, b DESC`: each key and whether it falls."""

    keys: list[tuple[Expr, bool]]


@dataclass(slots=True, eq=False)
class Limit(Statement):
    """`LIMIT offset, count`."""

    offset: Expr
    count: Expr


@dataclass(slots=True, eq=False)
class Collect(Statement):
    """`COLLECT`, every form of it."""

    groups: list[tuple[str, Expr]]
    aggregates: list[tuple[str, Call]]
    into: str = ""
    projection: Expr | None = None
    keep: list[str] | None = None
    count_into: str = ""


@dataclass(slots=True, eq=False)
class Return(Statement):
    """`RETURN [DISTINCT] value`."""

    value: Expr
    distinct: bool = False


@dataclass(slots=True, eq=False)
class Modify(Statement):
    """INSERT, UPDATE, REPLACE, REMOVE or UPSERT (with `search`, `insert` and the kind of its update part)."""

    kind: str
    document: Expr
    collection: DataSource
    changes: Expr | None = None
    search: Expr | None = None
    insert: Expr | None = None
    options: Expr | None = None
