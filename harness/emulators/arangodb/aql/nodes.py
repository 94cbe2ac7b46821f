"""The execution nodes of a plan. Each turns a stream of rows into a stream of rows and can describe itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.emulators.arangodb.aql.access import Access
from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.values import is_number, sort_key, truth
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError

RESULT = ""
"""The row's name for the value a RETURN made."""
_ROW_BYTES = 240
Run = Callable[[Iterator[Row], Row], Iterator[Row]]
"""The rows after a step, from those before it and the variables from outside the block."""


@dataclass(frozen=True)
class Node:
    """One step of a plan: the server's name of its type, the variable it adds, and what else a plan says of it."""

    kind: str
    run: Run
    makes: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """The step as it stands in an explained plan."""
        out = {"outVariable": {"id": 0, "name": self.makes}} if self.makes else {}
        return {"type": self.kind, **out, **self.facts}


def enumerate_list(ctx: Context, variable: str, source: Evaluate) -> Node:
    """FOR over an array: one row per element. Anything else gives a warning and none."""

    def run(rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        for row in rows:
            items = source(row)
            if not isinstance(items, list | range):
                ctx.warn(1563, "collection or array expected as operand to FOR loop")
                continue
            for item in items:
                ctx.step()
                yield {**row, variable: item}

    return Node("EnumerateListNode", run, variable)


def enumerate_collection(ctx: Context, variable: str, collection: Collection, accesses: list[Access]) -> Node:
    """FOR over a collection, by a full scan or by indexes: one row per document."""

    def found(row: Row) -> Iterator[Any]:
        for key in dict.fromkeys(key for access in accesses for key in access.keys(row)):
            doc = ctx.trx.get(collection, key)
            if doc is not None:
                yield doc

    def run(rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        counter = "scannedIndex" if accesses else "scannedFull"
        for row in rows:
            ctx.bump("cursorsCreated")
            for doc in found(row) if accesses else ctx.trx.scan(collection):
                ctx.step()
                ctx.bump(counter)
                yield {**row, variable: doc}

    facts = {"collection": collection.name, **({"indexes": [one.index for one in accesses]} if accesses else {})}
    return Node("IndexNode" if accesses else "EnumerateCollectionNode", run, variable, facts)


def calculate(variable: str, value: Evaluate, is_subquery: bool) -> Node:
    """LET: the same rows with one more variable."""

    def run(rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        return ({**row, variable: value(row)} for row in rows)

    return Node("SubqueryNode" if is_subquery else "CalculationNode", run, variable)


def keep(ctx: Context, condition: Evaluate) -> Node:
    """FILTER: the rows whose condition is true."""

    def run(rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        for row in rows:
            if truth(condition(row)):
                yield row
            else:
                ctx.bump("filtered")

    return Node("FilterNode", run)


def order(ctx: Context, keys: list[tuple[Evaluate, bool]]) -> Node:
    """SORT: all rows in order, equal ones as they came. Each key says whether it falls."""

    def run(rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        ordered = []
        for row in rows:
            ctx.hold(_ROW_BYTES)
            ordered.append(row)
        for value, falls in reversed(keys):
            ordered.sort(key=lambda row, value=value: sort_key(value(row)), reverse=falls)  # type: ignore[misc]
        return iter(ordered)

    return Node("SortNode", run)


def window(ctx: Context, offset: Evaluate, count: Evaluate, counting: bool) -> Node:
    """LIMIT; a count of null is no bound. With `counting` it reads on to count all rows (fullCount)."""

    def run(rows: Iterator[Row], base: Row) -> Iterator[Row]:
        first, value = _whole(offset(base)), count(base)
        last = first + (_whole(value) if value is not None else 2**62)
        seen = 0
        while seen < last or counting:
            row = next(rows, None)
            if row is None:
                break
            seen += 1
            if first < seen <= last:
                yield row
        if counting:
            ctx.stats["fullCount"] = seen

    return Node("LimitNode", run)


def _whole(value: Any) -> int:
    if not is_number(value) or value < 0:
        raise ArangoError(1504, "number out of range")
    return int(value)


def give(value: Evaluate, distinct: bool) -> Node:
    """RETURN: rows that hold only the result."""

    def run(rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        seen = set()
        for row in rows:
            result = value(row)
            if distinct:
                key = sort_key(result)
                if key in seen:
                    continue
                seen.add(key)
            yield {RESULT: result}

    return Node("ReturnNode", run)


def results(nodes: list[Node], base: Row) -> list[Any]:
    """Run for one outer row and give what RETURN gave; an empty list when the block ends in a modification."""
    rows: Iterator[Row] = iter([base])
    for node in nodes:
        rows = node.run(rows, base)
    return [row[RESULT] for row in rows if RESULT in row]
