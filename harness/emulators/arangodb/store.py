"""Transactions over collections: snapshot reads, own writes, write-write conflicts, unique checks, atomic commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError, LockBusyError
from harness.emulators.arangodb.indexes import Document, Index
from harness.emulators.runner import Defects

Write = tuple[Collection, str, Document | None]
CommitSink = Callable[[list[Write], bool], None]
"""Told of every commit before it becomes visible: the writes, and whether they must reach the disk first."""


class Store:
    """Hands out transactions and numbers their commits."""

    def __init__(self, defects: Defects, on_commit: CommitSink) -> None:
        self.defects = defects
        self.on_commit = on_commit
        self.sequence = 0
        self.changed: set[Collection] = set()
        """Collections with versions to prune."""
        self._next = 0
        self._snapshots: dict[int, int] = {}

    def begin(self, ident: int = 0) -> Transaction:
        """A transaction whose snapshot is now. It must be committed or aborted."""
        self._next -= 1
        trx = Transaction(self, ident or self._next, self.sequence)
        self._snapshots[trx.id] = trx.snapshot
        return trx

    def readers_beside(self, trx: int) -> bool:
        """Whether any other transaction is open."""
        return len(self._snapshots) > (trx in self._snapshots)

    def close(self, trx: int) -> None:
        """End a snapshot and drop the versions only it could see."""
        del self._snapshots[trx]
        oldest = min(self._snapshots.values(), default=self.sequence) if self.changed else 0
        for collection in list(self.changed):
            collection.prune(oldest)
            if not collection.history:
                self.changed.discard(collection)


class Transaction:
    """One unit of work. Reads see the snapshot and own writes; other transactions see nothing until commit."""

    def __init__(self, store: Store, ident: int, snapshot: int) -> None:
        self.id = ident
        self.snapshot = snapshot
        self.wait_for_sync = False
        self.defects = store.defects
        self._store = store
        self._undo: list[tuple[Collection, str, tuple[int, Document | None] | None]] = []

    def get(self, collection: Collection, key: str) -> Document | None:
        """A document by key, or None."""
        if "dirty-read" in self.defects and key in collection.pending:
            return collection.pending[key][1]
        return collection.visible(key, self.id, self.snapshot)

    def scan(self, collection: Collection) -> Iterator[Document]:
        """All documents of a collection."""
        return collection.scan(self.id, self.snapshot)

    def count(self, collection: Collection) -> int:
        """The number of documents of a collection."""
        return collection.count(self.id, self.snapshot)

    def put(self, collection: Collection, key: str, doc: Document | None) -> None:
        """Write or (None) remove. Raises ArangoError 1200 for a conflict, 1210 for a duplicate unique value."""
        if collection.exclusive_owner not in (0, self.id):
            raise LockBusyError
        before = collection.pending.get(key)
        if "no-write-conflict" not in self.defects:
            self._check_conflict(collection, key, before)
        if doc is not None:
            self._check_unique(collection, key, doc)
        self._undo.append((collection, key, before))
        collection.pending[key] = (self.id, doc)
        if doc is not None and not ("stale-index" in self.defects and key in collection.current):
            collection.index_version(key, doc)
        if before is not None and before[1] is not None:
            collection.forget_version(key, before[1])

    def _check_conflict(self, collection: Collection, key: str, before: Any) -> None:
        written = before is not None and before[0] != self.id
        if written or any(until > self.snapshot for until, _ in collection.history.get(key, ())):
            raise _conflict(collection, key)

    def _check_unique(self, collection: Collection, key: str, doc: Document) -> None:
        for index in collection.indexes:
            if not index.unique or "duplicate-unique" in self.defects:
                continue
            for entry in index.entries(doc):
                for other in index.keys_of(entry):
                    if other != key:
                        self._compare(collection, index, entry, other)

    def _compare(self, collection: Collection, index: Index, entry: Any, other: str) -> None:
        committed = collection.current.get(other)
        pending = collection.pending.get(other)
        if pending is not None and pending[0] == self.id:
            committed, pending = pending[1], None
        if pending is not None and any(entry in index.entries(doc) for doc in (committed, pending[1]) if doc):
            raise _conflict(collection, other, index)
        if committed is not None and entry in index.entries(committed):
            raise duplicate(index.definition, committed)

    def savepoint(self) -> int:
        """A mark `rollback` can return to."""
        return len(self._undo)

    def rollback(self, mark: int) -> None:
        """Undo the writes since a mark."""
        while len(self._undo) > mark:
            collection, key, before = self._undo.pop()
            written = collection.pending.pop(key)[1]
            if before is not None:
                collection.pending[key] = before
                if before[1] is not None:
                    collection.index_version(key, before[1])
            if written is not None:
                collection.forget_version(key, written)

    def commit(self) -> None:
        """Make the writes durable, then visible, all at once."""
        touched = dict.fromkeys((collection, key) for collection, key, _ in self._undo)
        writes = [(collection, key, collection.pending[key][1]) for collection, key in touched]
        if "partial-commit" in self.defects and self.id > 0 and len({write[0] for write in writes}) > 1:
            writes = [write for write in writes if write[0] is not writes[-1][0]]
        if writes:
            self._store.on_commit(writes, self.wait_for_sync)
            self._store.sequence += 1
        for collection, key, doc in writes:
            self._apply(collection, key, doc)
        for collection, key in touched:
            written = collection.pending.pop(key)[1]
            if written is not None and written is not collection.current.get(key):
                collection.forget_version(key, written)
        self._undo = []
        self._store.close(self.id)

    def _apply(self, collection: Collection, key: str, doc: Document | None) -> None:
        old = collection.current.get(key)
        if self._store.readers_beside(self.id):
            collection.history.setdefault(key, []).append((self._store.sequence, old))
            self._store.changed.add(collection)
        if doc is None:
            collection.current.pop(key, None)
        else:
            collection.current[key] = doc
        if old is not None and key not in collection.history:
            collection.forget_version(key, old)

    def abort(self) -> None:
        """Forget the writes."""
        if "abort-commits" in self.defects and self.id > 0:
            self.commit()
            return
        self.rollback(0)
        self._store.close(self.id)


_PRIMARY = {"name": "primary", "type": "primary", "fields": ["_key"]}


def _where(index: Document) -> str:
    return f"in index {index['name']} of type {index['type']} over '{', '.join(index['fields'])}'"


def _conflict(collection: Collection, key: str, index: Index | None = None) -> ArangoError:
    facts = {"_key": key, "_id": f"{collection.name}/{key}"}
    if key in collection.current:
        facts["_rev"] = collection.current[key]["_rev"]
    where = _where(index.definition if index else _PRIMARY)
    return ArangoError(1200, f"write-write conflict - {where}; document key: {key}", extra=facts)


def duplicate(index: Document | None, existing: Document) -> ArangoError:
    """Error 1210 about `existing`, in the server's words; without an index it is about the primary one."""
    text = f"unique constraint violated - {_where(index or _PRIMARY)}; conflicting key: {existing['_key']}"
    return ArangoError(1210, text)
