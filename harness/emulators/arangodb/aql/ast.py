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
    """A variable, or a collection if no such variable is in scope. `at` is its place in the text."""

    name: str
    at: int


@dataclass(slots=True, eq=False)
class DataSource(Expr):
    """A collection by its (bound) name."""

    name: str


@dataclass(slots=True, eq=False)
class Attribute(Expr):
    """`base.name`."""

    base: Expr
    name: str


@dataclass(slots=True, eq=False)
class Element(Expr):
    """`base[index]`."""

    base: Expr
    index: Expr


@dataclass(slots=True, eq=False)
class Current(Expr):
    """The element an array expansion is looking at."""


@dataclass(slots=True, eq=False)
class Inline:
    """What may stand in `[* ...]` or `[? ...]`."""

    condition: Expr | None = None
    limit: tuple[Expr | None, Expr] | None = None
    result: Expr | None = None
    quantifier: str = ""
    at_least: Expr | None = None


@dataclass(slots=True, eq=False)
class Expansion(Expr):
    """`base[*...]suffix`, where `suffix` is an expression over Current; `levels` is the number of stars."""

    base: Expr
    levels: int
    inline: Inline
    suffix: Expr | None


@dataclass(slots=True, eq=False)
class Question(Expr):
    """`base[? quantifier FILTER condition]`."""

    base: Expr
    inline: Inline


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
    """`left ALL|ANY|NONE|AT LEAST(n) op right`."""

    quantifier: str
    at_least: Expr | None
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
    at: int


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
class Filtering(Expr):
    """The condition of `UPSERT FILTER`, about `$CURRENT`."""

    condition: Expr


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
class GraphSource:
    """Where edges come from: a named graph, or edge collections with their own directions."""

    graph: Expr | None = None
    collections: list[tuple[str, DataSource]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Traverse(Statement):
    """`FOR v, e, p IN min..max DIRECTION start ...`."""

    variables: list[str]
    depth: Expr | None
    direction: str
    start: Expr
    source: GraphSource
    prune: Expr | None = None
    prune_variable: str = ""
    options: Expr | None = None


@dataclass(slots=True, eq=False)
class Paths(Statement):
    """`FOR ... SHORTEST_PATH | K_SHORTEST_PATHS | K_PATHS | ALL_SHORTEST_PATHS a TO b`."""

    kind: str
    variables: list[str]
    depth: Expr | None
    direction: str
    start: Expr
    target: Expr
    source: GraphSource
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
    """`SORT a ASC, b DESC`; the direction is a word or an expression."""

    keys: list[tuple[Expr, str | Expr]]


@dataclass(slots=True, eq=False)
class Limit(Statement):
    """`LIMIT offset, count`."""

    offset: Expr | None
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
    options: Expr | None = None


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
