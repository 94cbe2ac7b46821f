"""Index structures: which documents may hold given values. They know no versions; readers check what they find."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from harness.emulators.arangodb.aql.values import NULL_KEY, SortKey, sort_key

Document = dict[str, Any]
Entry = tuple[SortKey, ...]
Bound = tuple[SortKey, bool]
"""A range's end and whether the end itself belongs to it."""


class Index(Protocol):
    """What a collection needs of its indexes."""

    id: str
    name: str
    kind: str
    fields: tuple[str, ...]
    unique: bool
    sparse: bool
    extra: dict[str, Any]

    def entries(self, doc: Document, /) -> Sequence[Any]:
        """The entries a document makes."""

    def add(self, entry: Any, key: str) -> None:
        """Remember that `key` holds `entry`."""

    def fill(self, pairs: Sequence[tuple[Any, str]], /) -> None:
        """Add many at once."""

    def drop(self, entry: Any, key: str) -> None:
        """Forget that `key` holds `entry`; nothing happens if it was not there."""

    def keys_of(self, entry: Any, /) -> Iterator[str]:
        """The keys that may hold exactly `entry`."""


def attribute(doc: Any, path: str) -> Any:
    """The value at a dotted path, null where anything is missing."""
    for name in path.split("."):
        doc = doc.get(name) if isinstance(doc, dict) else None
    return doc


class SortedIndex:
    """A persistent or TTL index: entries in AQL order, so equality and ranges are both a binary search."""

    def __init__(self, ident: str, name: str, kind: str, fields: Sequence[str], **facts: Any) -> None:
        self.id = ident
        self.name = name
        self.kind = kind
        self.fields = tuple(fields)
        self.unique = bool(facts.pop("unique", False))
        self.sparse = bool(facts.pop("sparse", False))
        self.extra: dict[str, Any] = facts
        self._rows: list[tuple[Any, ...]] = []
        self._array = next((at for at, field in enumerate(fields) if "[*]" in field), -1)

    def entries(self, doc: Document) -> list[Entry]:
        """One entry per document, or one per element of a `field[*]` array; none where sparse and null."""
        if self._array < 0:
            made = [tuple(sort_key(attribute(doc, field)) for field in self.fields)]
        else:
            made = self._expanded(doc)
        return [entry for entry in made if NULL_KEY not in entry] if self.sparse else made

    def _expanded(self, doc: Document) -> list[Entry]:
        before, _, after = self.fields[self._array].partition("[*]")
        items = attribute(doc, before)
        elements = items if isinstance(items, list) else []
        path = after.lstrip(".")
        rows = []
        for element in elements:
            value = attribute(element, path) if path else element
            rows.append(
                tuple(
                    sort_key(value if at == self._array else attribute(doc, field))
                    for at, field in enumerate(self.fields)
                )
            )
        return list(dict.fromkeys(rows))

    def add(self, entry: Entry, key: str) -> None:
        """Insert in order."""
        row = (*entry, key)
        at = bisect_left(self._rows, row)
        if at == len(self._rows) or self._rows[at] != row:
            self._rows.insert(at, row)

    def fill(self, pairs: Sequence[tuple[Entry, str]]) -> None:
        """Add many at once, sorting only once."""
        self._rows = sorted({*self._rows, *((*entry, key) for entry, key in pairs)})

    def drop(self, entry: Entry, key: str) -> None:
        """Remove by binary search."""
        row = (*entry, key)
        at = bisect_left(self._rows, row)
        if at < len(self._rows) and self._rows[at] == row:
            del self._rows[at]

    def keys_of(self, entry: Entry) -> Iterator[str]:
        """The keys under one full entry."""
        return self.keys_between(entry, None, None)

    def keys_between(self, prefix: Entry, low: Bound | None, high: Bound | None) -> Iterator[str]:
        """Keys whose first fields equal `prefix` and whose next field lies between the bounds, in order."""
        width = len(prefix)
        start = (*prefix, low[0]) if low else prefix
        rows = self._rows
        at = bisect_left(rows, start)
        keys: list[str] = []
        while at < len(rows):
            row = rows[at]
            if row[:width] != prefix or (high and _beyond(row[width], high)):
                break
            if not (low and not low[1] and row[width] == low[0]):
                keys.append(row[-1])
            at += 1
        return iter(keys)

    def first_until(self, bound: SortKey) -> list[str]:
        """Keys whose first field is a number up to `bound` (for TTL sweeps)."""
        return list(self.keys_between((), ((2, float("-inf")), True), (bound, True)))


def _beyond(value: SortKey, high: Bound) -> bool:
    return value > high[0] or (value == high[0] and not high[1])


class EdgeIndex:
    """The two hash tables `_from -> keys` and `_to -> keys` of an edge collection."""

    def __init__(self) -> None:
        self.id = "1"
        self.name = "edge"
        self.kind = "edge"
        self.fields: tuple[str, ...] = ("_from", "_to")
        self.unique = False
        self.sparse = False
        self.extra: dict[str, Any] = {}
        self._keys: dict[tuple[str, str], dict[str, None]] = {}

    def entries(self, doc: Document) -> list[tuple[str, str]]:
        """One entry per end."""
        return [("_from", doc["_from"]), ("_to", doc["_to"])]

    def add(self, entry: tuple[str, str], key: str) -> None:
        """Remember an edge's end."""
        self._keys.setdefault(entry, {})[key] = None

    def fill(self, pairs: Sequence[tuple[tuple[str, str], str]]) -> None:
        """Add many."""
        for entry, key in pairs:
            self.add(entry, key)

    def drop(self, entry: tuple[str, str], key: str) -> None:
        """Forget an edge's end."""
        keys = self._keys.get(entry)
        if keys:
            keys.pop(key, None)
            if not keys:
                del self._keys[entry]

    def keys_of(self, entry: tuple[str, str]) -> Iterator[str]:
        """Keys of the edges with that end, oldest first."""
        return iter(list(self._keys.get(entry, ())))


class StoredIndex:
    """An index kept as a definition only (geo, fulltext, inverted, ...): listed, never used."""

    def __init__(self, ident: str, name: str, kind: str, fields: Sequence[str], **facts: Any) -> None:
        self.id = ident
        self.name = name
        self.kind = kind
        self.fields = tuple(fields)
        self.unique = False
        self.sparse = bool(facts.pop("sparse", True))
        facts.pop("unique", None)
        self.extra: dict[str, Any] = facts

    def entries(self, _doc: Document) -> list[Any]:
        """None."""
        return []

    def add(self, entry: Any, key: str) -> None:
        """Nothing is kept."""

    def fill(self, _pairs: Sequence[tuple[Any, str]]) -> None:
        """Nothing is kept."""

    def drop(self, entry: Any, key: str) -> None:
        """Nothing is kept."""

    def keys_of(self, _entry: Any) -> Iterator[str]:
        """None."""
        return iter(())


__all__ = ["Document", "EdgeIndex", "Index", "SortedIndex", "StoredIndex", "attribute"]
