"""The execution nodes of a plan. Each turns a stream of rows into a stream of rows and can describe itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from harness.emulators.arangodb.aql.access import Access
from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.values import is_number, sort_key, truth
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError

RESULT = ""
"""The row's name for the value a RETURN made."""
_ROW_BYTES = 240


class Node(ABC):
    """One step of a plan. `kind` is the server's name of the node type, `makes` the variable it adds."""

    kind: str
    makes: str = ""

    @abstractmethod
    def run(self, rows: Iterator[Row], base: Row) -> Iterator[Row]:
        """The rows after this step. `base` holds the variables from outside the block."""

    def describe(self) -> dict[str, Any]:
        """What an explained plan says beyond the node's type."""
        return {"outVariable": {"id": 0, "name": self.makes}} if self.makes else {}


class EnumerateList(Node):
    """FOR over an array: one row per element. Anything else gives a warning and none."""

    kind = "EnumerateListNode"

    def __init__(self, ctx: Context, variable: str, source: Evaluate) -> None:
        self.makes = variable
        self._ctx, self._source = ctx, source

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
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
    """FOR over a collection, by a full scan or by indexes: one row per document."""

    def __init__(self, ctx: Context, variable: str, collection: Collection, accesses: list[Access]) -> None:
        self.kind = "IndexNode" if accesses else "EnumerateCollectionNode"
        self.makes = variable
        self._ctx, self._collection, self._accesses = ctx, collection, accesses

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        ctx, name, counter = self._ctx, self.makes, "scannedIndex" if self._accesses else "scannedFull"
        for row in rows:
            ctx.bump("cursorsCreated")
            for doc in self._found(row) if self._accesses else ctx.trx.scan(self._collection):
                ctx.step()
                ctx.bump(counter)
                yield {**row, name: doc}

    def _found(self, row: Row) -> Iterator[Any]:
        for key in dict.fromkeys(key for access in self._accesses for key in access.keys(row)):
            doc = self._ctx.trx.get(self._collection, key)
            if doc is not None:
                yield doc

    def describe(self) -> dict[str, Any]:
        """The collection, and the indexes used."""
        facts = {**super().describe(), "collection": self._collection.name}
        return {**facts, "indexes": [access.index for access in self._accesses]} if self._accesses else facts


class Calculation(Node):
    """LET: the same rows with one more variable."""

    def __init__(self, variable: str, value: Evaluate, is_subquery: bool) -> None:
        self.makes = variable
        self.kind = "SubqueryNode" if is_subquery else "CalculationNode"
        self._value = value

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        return ({**row, self.makes: self._value(row)} for row in rows)


class Keep(Node):
    """FILTER: the rows whose condition is true."""

    kind = "FilterNode"

    def __init__(self, ctx: Context, condition: Evaluate) -> None:
        self._ctx, self._condition = ctx, condition

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        for row in rows:
            if truth(self._condition(row)):
                yield row
            else:
                self._ctx.bump("filtered")


class Order(Node):
    """SORT: all rows in order, equal ones as they came. Each key says whether it falls."""

    kind = "SortNode"

    def __init__(self, ctx: Context, keys: list[tuple[Evaluate, bool]]) -> None:
        self._ctx, self._keys = ctx, keys

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        ordered = []
        for row in rows:
            self._ctx.hold(_ROW_BYTES)
            ordered.append(row)
        for value, falls in reversed(self._keys):
            ordered.sort(key=lambda row, value=value: sort_key(value(row)), reverse=falls)  # type: ignore[misc]
        return iter(ordered)


class Slice(Node):
    """LIMIT. With `counting` it reads on to count all rows (fullCount)."""

    kind = "LimitNode"

    def __init__(self, ctx: Context, offset: Evaluate, count: Evaluate) -> None:
        self._ctx, self._offset, self._count = ctx, offset, count
        self.counting = False

    def run(self, rows: Iterator[Row], base: Row) -> Iterator[Row]:
        """Raises ArangoError 1504 for anything but whole numbers; a count of null is no bound."""
        first, value = _whole(self._offset(base)), self._count(base)
        last = first + (_whole(value) if value is not None else 2**62)
        seen = 0
        while seen < last or self.counting:
            row = next(rows, None)
            if row is None:
                break
            seen += 1
            if first < seen <= last:
                yield row
        if self.counting:
            self._ctx.stats["fullCount"] = seen


def _whole(value: Any) -> int:
    if not is_number(value) or value < 0:
        raise ArangoError(1504, "number out of range")
    return int(value)


class Give(Node):
    """RETURN: rows that hold only the result."""

    kind = "ReturnNode"

    def __init__(self, value: Evaluate, distinct: bool) -> None:
        self._value, self._distinct = value, distinct

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        seen = set()
        for row in rows:
            result = self._value(row)
            if self._distinct:
                key = sort_key(result)
                if key in seen:
                    continue
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
        return [row[RESULT] for row in rows if RESULT in row]
