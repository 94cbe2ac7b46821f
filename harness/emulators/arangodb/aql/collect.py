"""COLLECT: grouping, counting and aggregating (AQL manual: "COLLECT")."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.values import is_number, sort_key
from harness.emulators.arangodb.errors import ArangoError

Aggregate = Callable[[list[Any]], Any]
_ROW_BYTES = 320


class Group(Node):
    """COLLECT. `gather` makes what INTO collects of a row; `base` variables stay visible behind it."""

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
        """One row per group in the order of the group values; exactly one if there are no group values."""
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


def _numbers(values: list[Any]) -> list[Any] | None:
    """The values without nulls, or None when one is no number or none is left."""
    kept = [value for value in values if value is not None]
    return kept if kept and all(is_number(value) for value in kept) else None


def _numeric(fold: Callable[[list[Any]], Any]) -> Aggregate:
    def aggregate(values: list[Any]) -> Any:
        numbers = _numbers(values)
        return None if numbers is None else fold(numbers)

    return aggregate


def _average(numbers: list[Any]) -> float:
    return float(sum(numbers) / len(numbers))


def _variance(numbers: list[Any], sample: bool = False) -> float | None:
    if len(numbers) <= sample:
        return None
    mean = _average(numbers)
    return float(sum((number - mean) ** 2 for number in numbers) / (len(numbers) - sample))


def _deviation(numbers: list[Any], sample: bool = False) -> float | None:
    variance = _variance(numbers, sample)
    return None if variance is None else math.sqrt(variance)


def _least(values: list[Any]) -> Any:
    return min((value for value in values if value is not None), key=sort_key, default=None)


def _greatest(values: list[Any]) -> Any:
    return max((value for value in values if value is not None), key=sort_key, default=None)


def _unique(values: list[Any]) -> list[Any]:
    return list({sort_key(value): value for value in reversed(values)}.values())[::-1]


def _bits(fold: Callable[[int, int], int]) -> Aggregate:
    def aggregate(numbers: list[Any]) -> int:
        result = int(numbers[0])
        for number in numbers[1:]:
            result = fold(result, int(number))
        return result

    return _numeric(aggregate)


AGGREGATES: dict[str, Aggregate] = {
    "LENGTH": len,
    "COUNT": len,
    "MIN": _least,
    "MAX": _greatest,
    "SUM": _numeric(sum),
    "AVERAGE": _numeric(_average),
    "AVG": _numeric(_average),
    "VARIANCE": _numeric(_variance),
    "VARIANCE_POPULATION": _numeric(_variance),
    "VARIANCE_SAMPLE": _numeric(lambda numbers: _variance(numbers, True)),
    "STDDEV": _numeric(_deviation),
    "STDDEV_POPULATION": _numeric(_deviation),
    "STDDEV_SAMPLE": _numeric(lambda numbers: _deviation(numbers, True)),
    "UNIQUE": _unique,
    "SORTED_UNIQUE": lambda values: sorted(_unique(values), key=sort_key),
    "COUNT_DISTINCT": lambda values: len(_unique(values)),
    "COUNT_UNIQUE": lambda values: len(_unique(values)),
    "PUSH": list,
    "BIT_AND": _bits(lambda a, b: a & b),
    "BIT_OR": _bits(lambda a, b: a | b),
    "BIT_XOR": _bits(lambda a, b: a ^ b),
}


def aggregate_of(name: str) -> Aggregate:
    """The aggregate function of that name. Raises ArangoError 1574."""
    if name not in AGGREGATES:
        raise ArangoError(1574, "invalid aggregate expression")
    return AGGREGATES[name]
