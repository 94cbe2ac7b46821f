"""One collection's data: current documents, what open snapshots still see, uncommitted writes, and its indexes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.emulators.arangodb.aql.values import sort_key
from harness.emulators.arangodb.indexes import EDGE_INDEX, Document, Index

DOCUMENT, EDGE = 2, 3


class Collection:
    """Documents by key in three layers.

    `current` is what is committed. `history` holds replaced versions as `(until, document)` for as long as a
    snapshot older than `until` is open. `pending` holds uncommitted writes as `(transaction, document)`;
    a document of None means removed.
    """

    def __init__(self, definition: dict[str, Any]) -> None:
        self.id: str = definition["id"]
        self.name: str = definition["name"]
        self.kind: int = definition["type"]
        self.facts: dict[str, Any] = definition["facts"]
        self.current: dict[str, Document] = {}
        self.history: dict[str, list[tuple[int, Document | None]]] = {}
        self.pending: dict[str, tuple[int, Document | None]] = {}
        self._ends = {end: Index(EDGE_INDEX, end) for end in ("_from", "_to") if self.kind == EDGE}
        self.indexes: list[Index] = [*self._ends.values(), *map(Index, definition["indexes"])]
        self.exclusive_owner = 0
        self.writers: set[int] = set()

    def definition(self) -> dict[str, Any]:
        """What the journal keeps of it, its documents apart."""
        indexes = [index.definition for index in self.indexes if index.definition is not EDGE_INDEX]
        return {"id": self.id, "name": self.name, "type": self.kind, "facts": self.facts, "indexes": indexes}

    @property
    def is_system(self) -> bool:
        """Whether this is one of the server's own collections."""
        return bool(self.facts["isSystem"])

    def index(self, name_or_id: str) -> Index | None:
        """An index by name or numeric id."""
        found = (one for one in self.indexes if name_or_id in (one.definition["name"], one.definition["id"]))
        return next(found, None)

    def edges_at(self, end: str, vertex: str) -> Iterator[str]:
        """The keys of the edges that may have a vertex as `_from` or `_to`."""
        return self._ends[end].keys_of((sort_key(vertex),))

    def fill(self, index: Index) -> None:
        """Enter every version of every document that anybody can still see into an index."""
        keys = dict.fromkeys([*self.current, *self.history, *self.pending])
        index.fill([(entry, key) for key in keys for doc in self._alive(key) for entry in index.entries(doc)])

    def _alive(self, key: str) -> Iterator[Document]:
        versions = [self.current.get(key), self.pending.get(key, (0, None))[1]]
        versions += [doc for _, doc in self.history.get(key, ())]
        return (doc for doc in versions if doc is not None)

    def index_version(self, key: str, doc: Document) -> None:
        """Make a version findable."""
        for index in self.indexes:
            for entry in index.entries(doc):
                index.add(entry, key)

    def forget_version(self, key: str, doc: Document) -> None:
        """Drop the index entries of a version that nobody sees any more."""
        if not self.indexes:
            return
        kept = list(self._alive(key))
        for index in self.indexes:
            still = {entry for other in kept for entry in index.entries(other)}
            for entry in index.entries(doc):
                if entry not in still:
                    index.drop(entry, key)

    def prune(self, oldest: int) -> None:
        """Drop versions that no snapshot at or after `oldest` can see."""
        for key, versions in list(self.history.items()):
            kept = [item for item in versions if item[0] > oldest]
            if kept:
                self.history[key] = kept
            else:
                del self.history[key]
            for until, doc in versions:
                if until <= oldest and doc is not None:
                    self.forget_version(key, doc)

    def visible(self, key: str, trx: int, snapshot: int) -> Document | None:
        """The document as transaction `trx` with that snapshot sees it."""
        if self.pending:
            own = self.pending.get(key)
            if own is not None and own[0] == trx:
                return own[1]
        if self.history:
            for until, doc in self.history.get(key, ()):
                if until > snapshot:
                    return doc
        return self.current.get(key)

    def scan(self, trx: int, snapshot: int) -> Iterator[Document]:
        """Every document that transaction sees, as of the moment the scan begins."""
        if not self.pending and not self.history:
            yield from list(self.current.values())
            return
        for key in list(dict.fromkeys([*self.current, *self.history, *self.pending])):
            doc = self.visible(key, trx, snapshot)
            if doc is not None:
                yield doc

    def count(self, trx: int, snapshot: int) -> int:
        """How many documents that transaction sees."""
        if not self.pending and not self.history:
            return len(self.current)
        return sum(1 for _ in self.scan(trx, snapshot))
