"""The execution nodes of a plan. Each turns a stream of rows into a stream of rows and can describe itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.emulators.arangodb.aql.access import Access
from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.values import is_number, sort_key, truth
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError

RESULT = ""
"""The row's name for the value a RETURN made."""
_ROW_BYTES = 240


class Node:
    """One step of a plan. `kind` is the server's name of the node type."""

    kind = "SingletonNode"
    makes: str = ""

    def run(self, rows: Iterator[Row], base: Row) -> Iterator[Row]:
        """The rows after this step. `base` holds the variables from outside the block."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What an explained plan says beyond the node's type."""
        return {"outVariable": {"id": 0, "name": self.makes}} if self.makes else {}


class EnumerateList(Node):
    """FOR over an array."""

    kind = "EnumerateListNode"

    def __init__(self, ctx: Context, variable: str, source: Evaluate) -> None:
        self.makes = variable
        self._ctx, self._source = ctx, source

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        """One row per element. Anything but an array gives a warning and none."""
        ctx, name = self._ctx, self.makes
        for row in rows:
            items = self._source(row)
            if not isinstance(items, list | range):
                ctx.warn(1563, "collection or array expected as operand to FOR loop")
                continue
            for item in items:
                ctx.step()
                yield {**row, name: item}


class EnumerateCollection(Node):
    """FOR over a collection, by a full scan or by indexes."""

    def __init__(self, ctx: Context, variable: str, collection: Collection, accesses: list[Access]) -> None:
        self.kind = "IndexNode" if accesses else "EnumerateCollectionNode"
        self.makes = variable
        self.collection = collection
        self.accesses = accesses
        self._ctx = ctx

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        """One row per document."""
        ctx, name, found = self._ctx, self.makes, self._found if self.accesses else self._scan
        for row in rows:
            ctx.bump("cursorsCreated")
            for doc in found(row):
                ctx.step()
                yield {**row, name: doc}

    def _scan(self, _row: Row) -> Iterator[Any]:
        for doc in self._ctx.trx.scan(self.collection):
            self._ctx.bump("scannedFull")
            yield doc

    def _found(self, row: Row) -> Iterator[Any]:
        ctx, collection = self._ctx, self.collection
        for key in dict.fromkeys(key for access in self.accesses for key in access.keys(row)):
            doc = ctx.trx.get(collection, key)
            if doc is not None:
                ctx.bump("scannedIndex")
                yield doc

    def describe(self) -> dict[str, Any]:
        """The collection, and the indexes used."""
        facts = {**super().describe(), "collection": self.collection.name}
        return {**facts, "indexes": [access.index for access in self.accesses]} if self.accesses else facts


class Calculation(Node):
    """LET."""

    kind = "CalculationNode"

    def __init__(self, variable: str, value: Evaluate, is_subquery: bool) -> None:
        self.makes = variable
        self.kind = "SubqueryNode" if is_subquery else "CalculationNode"
        self._value = value

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        """The same rows with one more variable."""
        name, value = self.makes, self._value
        for row in rows:
            yield {**row, name: value(row)}


class Keep(Node):
    """FILTER."""

    kind = "FilterNode"

    def __init__(self, ctx: Context, condition: Evaluate) -> None:
        self._ctx, self._condition = ctx, condition

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        """The rows whose condition is true."""
        condition, ctx = self._condition, self._ctx
        for row in rows:
            if truth(condition(row)):
                yield row
            else:
                ctx.bump("filtered")


class Order(Node):
    """SORT."""

    kind = "SortNode"

    def __init__(self, ctx: Context, keys: list[tuple[Evaluate, str | Evaluate]]) -> None:
        self._ctx, self._keys = ctx, keys

    def run(self, rows: Iterator[Row], base: Row) -> Iterator[Row]:
        """All rows in order, equal ones as they came."""
        ordered = list(_held(self._ctx, rows))
        for value, direction in reversed(self._keys):
            down = direction if isinstance(direction, str) else str(direction(base)).upper()
            ordered.sort(key=lambda row, value=value: sort_key(value(row)), reverse=down == "DESC")  # type: ignore[misc]
        return iter(ordered)


def _held(ctx: Context, rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        ctx.hold(_ROW_BYTES)
        yield row


class Slice(Node):
    """LIMIT. With `counting` it reads on to count all rows (fullCount)."""

    kind = "LimitNode"

    def __init__(self, ctx: Context, offset: Evaluate | None, count: Evaluate) -> None:
        self._ctx, self._offset, self._count = ctx, offset, count
        self.counting = False

    def run(self, rows: Iterator[Row], base: Row) -> Iterator[Row]:
        """The rows inside the window. Raises ArangoError 1504 for anything but whole numbers."""
        first = _whole(self._offset(base)) if self._offset else 0
        value = self._count(base)
        last = first + (_whole(value) if value is not None else 2**62)
        seen = 0
        if self.counting:
            self._ctx.stats["fullCount"] = 0
        while seen < last or self.counting:
            row = next(rows, None)
            if row is None:
                break
            seen += 1
            if self.counting:
                self._ctx.stats["fullCount"] = seen
            if first < seen <= last:
                yield row


def _whole(value: Any) -> int:
    if not is_number(value) or value < 0:
        raise ArangoError(1504, "number out of range")
    return int(value)


class Give(Node):
    """RETURN."""

    kind = "ReturnNode"

    def __init__(self, ctx: Context, value: Evaluate, distinct: bool) -> None:
        self._ctx, self._value, self._distinct = ctx, value, distinct

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        """Rows that hold only the result."""
        value = self._value
        if not self._distinct:
            for row in rows:
                yield {RESULT: value(row)}
            return
        seen = set()
        for row in rows:
            result = value(row)
            key = sort_key(result)
            if key not in seen:
                seen.add(key)
                yield {RESULT: result}


class Block:
    """The nodes of a query or subquery in order."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def results(self, base: Row) -> list[Any]:
        """Run for one outer row and give what RETURN gave; an empty list when the block ends in a modification."""
        rows: Iterator[Row] = iter([base])
        for node in self.nodes:
            rows = node.run(rows, base)
        if isinstance(self.nodes[-1], Give):
            return [row[RESULT] for row in rows]
        for _ in rows:
            pass
        return []
