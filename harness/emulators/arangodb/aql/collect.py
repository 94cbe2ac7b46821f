"""COLLECT: grouping, counting and aggregating (AQL manual: "COLLECT")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.functions.numbers import extreme, mean
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.values import is_number, sort_key, unique
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError

Aggregate = Callable[[list[Any]], Any]
_ROW_BYTES = 320


@dataclass(frozen=True)
class Grouping:
    """What a COLLECT makes of each group; `into` names what INTO collects of each row."""

    groups: list[tuple[str, Evaluate]]
    aggregates: list[tuple[str, Aggregate, Evaluate]]
    into: tuple[str, Evaluate] | None
    count_into: str

    def result(self, values: list[Any], rows: list[Row]) -> Row:
        """The variables of one group."""
        made: Row = {name: value for (name, _), value in zip(self.groups, values, strict=True)}
        for name, aggregate, argument in self.aggregates:
            made[name] = aggregate([argument(row) for row in rows])
        if self.into:
            made[self.into[0]] = [self.into[1](row) for row in rows]
        if self.count_into:
            made[self.count_into] = len(rows)
        return made


def group(ctx: Context, wanted: Grouping) -> Node:
    """COLLECT: one row per group in the order of the group values; exactly one if there are no group values.

    The variables from outside the block stay visible.
    """

    def run(rows: Iterator[Row], base: Row) -> Iterator[Row]:
        if wanted.count_into and not wanted.groups:
            yield {**base, wanted.count_into: sum(1 for _ in rows)}
            return
        members: dict[Any, tuple[list[Any], list[Row]]] = {} if wanted.groups else {(): ([], [])}
        for row in rows:
            ctx.hold(_ROW_BYTES)
            values = [value(row) for _, value in wanted.groups]
            key = tuple(sort_key(value) for value in values)
            members.setdefault(key, (values, []))[1].append(row)
        for key in sorted(members):
            yield {**base, **wanted.result(*members[key])}

    return Node("CollectNode", run)


def _numeric(fold: Callable[[list[Any]], Any]) -> Aggregate:
    """An aggregate of the values that are not null: null itself when one is no number or none is left."""

    def aggregate(values: list[Any]) -> Any:
        kept = [value for value in values if value is not None]
        return fold(kept) if kept and all(is_number(value) for value in kept) else None

    return aggregate


_AGGREGATES: dict[str, Aggregate] = {
    "LENGTH": len,
    "COUNT": len,
    "MIN": extreme(min),
    "MAX": extreme(max),
    "SUM": _numeric(sum),
    "AVERAGE": _numeric(mean),
    "AVG": _numeric(mean),
    "UNIQUE": unique,
    "SORTED_UNIQUE": lambda values: sorted(unique(values), key=sort_key),
    "COUNT_DISTINCT": lambda values: len(unique(values)),
    "COUNT_UNIQUE": lambda values: len(unique(values)),
    "PUSH": list,
}


def aggregate_of(name: str) -> Aggregate:
    """The aggregate function of that name. Raises ArangoError 1574, or NotEmulatedError."""
    if name.startswith(("BIT_", "STDDEV", "VARIANCE")):
        raise NotEmulatedError(f"aggregate function {name}()")
    if name not in _AGGREGATES:
        raise ArangoError(1574, "invalid aggregate expression")
    return _AGGREGATES[name]
