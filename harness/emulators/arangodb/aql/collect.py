"""COLLECT: grouping, counting and aggregating (AQL manual: "COLLECT")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.functions.numbers import deviation, extreme, mean, variance
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.values import is_number, sort_key, unique
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError

Aggregate = Callable[[list[Any]], Any]
_ROW_BYTES = 320


class Group(Node):
    """COLLECT: one row per group in the order of the group values; exactly one if there are no group values.

    `into` names what INTO collects of each row; the variables from outside the block stay visible.
    """

    kind = "CollectNode"

    def __init__(
        self,
        ctx: Context,
        groups: list[tuple[str, Evaluate]],
        aggregates: list[tuple[str, Aggregate, Evaluate]],
        into: tuple[str, Evaluate] | None,
        count_into: str,
    ) -> None:
        self._ctx, self._groups, self._aggregates = ctx, groups, aggregates
        self._into, self._count_into = into, count_into

    def run(self, rows: Iterator[Row], base: Row) -> Iterator[Row]:
        if self._count_into and not self._groups:
            yield {**base, self._count_into: sum(1 for _ in rows)}
            return
        members: dict[Any, tuple[list[Any], list[Row]]] = {}
        for row in rows:
            self._ctx.hold(_ROW_BYTES)
            values = [value(row) for _, value in self._groups]
            key = tuple(sort_key(value) for value in values)
            members.setdefault(key, (values, []))[1].append(row)
        if not members and not self._groups:
            members[()] = ([], [])
        for key in sorted(members):
            yield {**base, **self._result(*members[key])}

    def _result(self, values: list[Any], rows: list[Row]) -> Row:
        made: Row = {name: value for (name, _), value in zip(self._groups, values, strict=True)}
        for name, aggregate, argument in self._aggregates:
            made[name] = aggregate([argument(row) for row in rows])
        if self._into:
            made[self._into[0]] = [self._into[1](row) for row in rows]
        if self._count_into:
            made[self._count_into] = len(rows)
        return made


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
    "VARIANCE": _numeric(variance),
    "VARIANCE_POPULATION": _numeric(variance),
    "VARIANCE_SAMPLE": _numeric(lambda numbers: variance(numbers, 1)),
    "STDDEV": _numeric(deviation),
    "STDDEV_POPULATION": _numeric(deviation),
    "STDDEV_SAMPLE": _numeric(lambda numbers: deviation(numbers, 1)),
    "UNIQUE": unique,
    "SORTED_UNIQUE": lambda values: sorted(unique(values), key=sort_key),
    "COUNT_DISTINCT": lambda values: len(unique(values)),
    "COUNT_UNIQUE": lambda values: len(unique(values)),
    "PUSH": list,
}


def aggregate_of(name: str) -> Aggregate:
    """The aggregate function of that name. Raises ArangoError 1574, or NotEmulatedError."""
    if name in ("BIT_AND", "BIT_OR", "BIT_XOR"):
        raise NotEmulatedError(f"aggregate function {name}()")
    if name not in _AGGREGATES:
        raise ArangoError(1574, "invalid aggregate expression")
    return _AGGREGATES[name]
