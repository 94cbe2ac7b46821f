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
        self._next = 0
        self._snapshots: dict[int, int] = {}
        self._changed: set[Collection] = set()

    def begin(self, ident: int = 0) -> Transaction:
        """A transaction whose snapshot is now. It must be committed or aborted."""
        self._next -= 1
        trx = Transaction(self, ident or self._next, self.sequence)
        self._snapshots[trx.id] = trx.snapshot
        return trx

    def readers_beside(self, trx: int) -> bool:
        """Whether any other transaction is open."""
        return len(self._snapshots) > (trx in self._snapshots)

    def note_history(self, collection: Collection) -> None:
        """Remember that a collection has versions to prune."""
        self._changed.add(collection)

    def close(self, trx: int) -> None:
        """End a snapshot and drop the versions only it could see."""
        del self._snapshots[trx]
        if not self._changed:
            return
        oldest = min(self._snapshots.values(), default=self.sequence)
        for collection in list(self._changed):
            collection.prune(oldest)
            if not collection.history:
                self._changed.discard(collection)


class Transaction:
    """One unit of work. Reads see the snapshot and own writes; other transactions see nothing until commit."""

    def __init__(self, store: Store, ident: int, snapshot: int) -> None:
        self.id = ident
        self.snapshot = snapshot
        self.wait_for_sync = False
        self.open = True
        self._store = store
        self._undo: list[tuple[Collection, str, tuple[int, Document | None] | None]] = []

    @property
    def defects(self) -> Defects:
        """The seeded faults of this run."""
        return self._store.defects

    def get(self, collection: Collection, key: str) -> Document | None:
        """A document by key, or None."""
        if "dirty-read" in self._store.defects and key in collection.pending:
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
        if "no-write-conflict" not in self._store.defects:
            self._check_conflict(collection, key, before)
        if doc is not None:
            self._check_unique(collection, key, doc)
        self._undo.append((collection, key, before))
        collection.pending[key] = (self.id, doc)
        if doc is not None and not self._skips_index(collection, key):
            collection.index_version(key, doc)
        if before is not None and before[1] is not None:
            collection.forget_version(key, before[1])

    def _skips_index(self, collection: Collection, key: str) -> bool:
        return "stale-index" in self._store.defects and key in collection.current

    def _check_conflict(self, collection: Collection, key: str, before: Any) -> None:
        if before is not None and before[0] != self.id:
            raise _conflict(collection, key)
        if any(until > self.snapshot for until, _ in collection.history.get(key, ())):
            raise _conflict(collection, key)

    def _check_unique(self, collection: Collection, key: str, doc: Document) -> None:
        for index in collection.indexes:
            if not index.unique or "duplicate-unique" in self._store.defects:
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
            raise duplicate(index.name, index.kind, ", ".join(index.fields), committed)

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

    def writes(self) -> list[Write]:
        """What a commit would change: the last state of every document written."""
        touched = dict.fromkeys((collection, key) for collection, key, _ in self._undo)
        return [(collection, key, collection.pending[key][1]) for collection, key in touched]

    def commit(self) -> None:
        """Make the writes durable, then visible, all at once."""
        writes = self.writes()
        if "partial-commit" in self._store.defects and self.id > 0 and len({w[0] for w in writes}) > 1:
            writes = [write for write in writes if write[0] is not writes[-1][0]]
        if writes:
            self._store.on_commit(writes, self.wait_for_sync)
            self._store.sequence += 1
            for collection, key, doc in writes:
                self._apply(collection, key, doc)
        for collection, key in {(undo[0], undo[1]) for undo in self._undo}:
            written = collection.pending.pop(key)[1]
            if written is not None and written is not collection.current.get(key):
                collection.forget_version(key, written)
        self._end()

    def _apply(self, collection: Collection, key: str, doc: Document | None) -> None:
        old = collection.current.get(key)
        if self._store.readers_beside(self.id):
            collection.history.setdefault(key, []).append((self._store.sequence, old))
            self._store.note_history(collection)
        if doc is None:
            collection.current.pop(key, None)
        else:
            collection.current[key] = doc
            collection.revision = doc["_rev"]
        if old is not None and key not in collection.history:
            collection.forget_version(key, old)

    def abort(self) -> None:
        """Forget the writes."""
        if "abort-commits" in self._store.defects and self.id > 0:
            return self.commit()
        self.rollback(0)
        return self._end()

    def _end(self) -> None:
        self.open = False
        self._undo = []
        self._store.close(self.id)


def _conflict(collection: Collection, key: str, index: Index | None = None) -> ArangoError:
    where = f"index {index.name} of type {index.kind}" if index else "index primary of type primary"
    over = ", ".join(index.fields) if index else "_key"
    facts = {"_key": key, "_id": f"{collection.name}/{key}"}
    if key in collection.current:
        facts["_rev"] = collection.current[key]["_rev"]
    text = f"write-write conflict - in {where} over '{over}'; document key: {key}"
    return ArangoError(1200, text, extra=facts)


def duplicate(name: str, kind: str, fields: str, existing: Document) -> ArangoError:
    """Error 1210 about `existing`, in the server's words."""
    text = f"unique constraint violated - in index {name} of type {kind} over '{fields}'; conflicting key: "
    facts = {name: existing[name] for name in ("_id", "_key", "_rev")}
    return ArangoError(1210, text + existing["_key"], extra=facts)
