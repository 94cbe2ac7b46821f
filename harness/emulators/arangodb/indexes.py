"""Index structures: which documents may hold given values. They know no versions; readers check what they find."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from harness.emulators.arangodb.aql.values import NULL_KEY, SortKey, sort_key

Document = dict[str, Any]
Entry = tuple[Any, ...]
"""What an index holds of a document: a sort key per field."""
Bound = tuple[SortKey, bool]
"""A range's end and whether the end itself belongs to it."""


def attribute(doc: Any, path: str) -> Any:
    """The value at a dotted path, null where anything is missing."""
    for name in path.split("."):
        doc = doc.get(name) if isinstance(doc, dict) else None
    return doc


EDGE_INDEX: Document = {
    "id": "1", "name": "edge", "type": "edge", "fields": ["_from", "_to"], "unique": False, "sparse": False
}  # fmt: skip
"""The definition of the two indexes that an edge collection has by itself."""


class Index:
    """Entries in AQL order, so equality and ranges are both a binary search.

    `definition` is what the journal keeps and the API shows; `fields` are its own unless others are given.
    """

    def __init__(self, definition: Document, *fields: str) -> None:
        self.definition = definition
        self.fields: tuple[str, ...] = fields or tuple(definition["fields"])
        self.unique: bool = definition["unique"]
        self.sparse: bool = definition["sparse"]
        self._rows: list[tuple[Any, ...]] = []
        self._array = next((at for at, field in enumerate(self.fields) if "[*]" in field), -1)

    def entries(self, doc: Document) -> list[Entry]:
        """One entry per document, or one per element of a `field[*]` array; none where sparse and null."""
        values = [[sort_key(attribute(doc, field))] for field in self.fields]
        if self._array >= 0:
            before, _, after = self.fields[self._array].partition("[*]")
            items = attribute(doc, before)
            path = after.lstrip(".")
            elements = [attribute(item, path) if path else item for item in (items if isinstance(items, list) else [])]
            values[self._array] = list(dict.fromkeys(map(sort_key, elements)))
        made: list[Entry] = [()]
        for choices in values:
            made = [(*entry, value) for entry in made for value in choices]
        return [entry for entry in made if NULL_KEY not in entry] if self.sparse else made

    def add(self, entry: Entry, key: str) -> None:
        """Remember that `key` holds `entry`."""
        row = (*entry, key)
        at = bisect_left(self._rows, row)
        if at == len(self._rows) or self._rows[at] != row:
            self._rows.insert(at, row)

    def fill(self, pairs: Sequence[tuple[Entry, str]]) -> None:
        """Add many at once, sorting only once."""
        self._rows = sorted({*self._rows, *((*entry, key) for entry, key in pairs)})

    def drop(self, entry: Entry, key: str) -> None:
        """Forget that `key` holds `entry`; nothing happens if it was not there."""
        row = (*entry, key)
        at = bisect_left(self._rows, row)
        if at < len(self._rows) and self._rows[at] == row:
            del self._rows[at]

    def keys_of(self, entry: Entry) -> Iterator[str]:
        """The keys that may hold exactly `entry`."""
        return self.keys_between(entry, None, None)

    def keys_between(self, prefix: Entry, low: Bound | None, high: Bound | None) -> Iterator[str]:
        """Keys whose first fields equal `prefix` and whose next field lies between the bounds, in order."""
        width, rows = len(prefix), self._rows
        at = bisect_left(rows, (*prefix, low[0]) if low else prefix)
        keys: list[str] = []
        while at < len(rows):
            row = rows[at]
            if row[:width] != prefix or (high and _beyond(row[width], high)):
                break
            if not (low and not low[1] and row[width] == low[0]):
                keys.append(row[-1])
            at += 1
        return iter(keys)


def _beyond(value: SortKey, high: Bound) -> bool:
    return value > high[0] or (value == high[0] and not high[1])
