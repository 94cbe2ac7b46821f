"""Stream transactions: begun, used by many requests, committed or aborted, and expired when idle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.catalog import Database
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError, LockBusyError
from harness.emulators.arangodb.store import Store, Transaction
from harness.emulators.arangodb.ticks import Ticks

_GARBAGE_SECONDS = 600


@dataclass
class Stream:
    """One stream transaction. `status` is running, committed or aborted; `deadline` its idle or removal time."""

    id: str
    user: str
    database: str
    trx: Transaction
    read: set[str]
    write: dict[str, Collection]
    allow_implicit: bool
    deadline: float
    status: str = "running"
    busy: bool = False
    expired: bool = False

    def authorize(self, collection: Collection, write: bool) -> None:
        """Raises ArangoError 1652 for an undeclared collection; reading one is fine with allowImplicit."""
        implicit = not write and (self.allow_implicit or collection.name in self.read)
        if not implicit and collection.name not in self.write:
            way = "write" if write else "read"
            raise ArangoError(1652, f"unregistered collection used in transaction: {collection.name} [{way}]")

    def facts(self) -> dict[str, Any]:
        """The transaction as the API shows it."""
        return {"id": self.id, "status": self.status}


def declared(body: dict[str, Any], mode: str) -> list[str]:
    """The collections a body declares for `read`, `write` or `exclusive`. Raises ArangoError 10."""
    wanted = body.get("collections")
    if not isinstance(wanted, dict):
        raise ArangoError(10, "missing/invalid collections definition for transaction")
    names = wanted.get(mode) or []
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ArangoError(10, "invalid type for collections in transaction")
    return names


class Streams:
    """All stream transactions of a server. `clock` gives seconds; `idle` is the time they may lie unused."""

    def __init__(self, store: Store, ticks: Ticks, clock: Callable[[], float], idle: float = 60) -> None:
        self._store, self._ticks, self._clock, self._idle = store, ticks, clock, idle
        self._streams: dict[str, Stream] = {}

    def begin(self, database: Database, user: str, body: dict[str, Any]) -> Stream:
        """Raises ArangoError 10, 1203, or LockBusyError while an exclusive lock stands in the way."""
        read, write, exclusive = (
            [database.find(name) for name in declared(body, mode)] for mode in ("read", "write", "exclusive")
        )
        self.sweep()
        owned = any(collection.exclusive_owner for collection in (*write, *exclusive))
        if owned or any(collection.writers for collection in exclusive):
            raise LockBusyError
        ident = self._ticks.next()
        trx = self._store.begin(ident)
        trx.wait_for_sync = bool(body.get("waitForSync"))
        names, writable = {item.name for item in read}, {item.name: item for item in (*write, *exclusive)}
        implicit, deadline = bool(body.get("allowImplicit", True)), self._clock() + self._idle
        stream = Stream(str(ident), user, database.name, trx, names, writable, implicit, deadline)
        for collection in write:
            collection.writers.add(ident)
        for collection in exclusive:
            collection.exclusive_owner = ident
        self._streams[stream.id] = stream
        return stream

    def get(self, ident: str, database: str) -> Stream:
        """Raises ArangoError 10 for what is no id, 1655 for an unknown one."""
        if not ident.isdigit() or ident == "0":
            raise ArangoError(10, "bad transaction id")
        self.sweep()
        stream = self._streams.get(ident)
        if stream is None or stream.database != database:
            raise ArangoError(1655, f"transaction '{ident}' not found")
        return stream

    def busy(self, ident: str) -> bool:
        """Whether another request is using the transaction right now."""
        return ident in self._streams and self._streams[ident].busy

    def use(self, ident: str, database: str) -> Stream:
        """A running transaction for one operation; its idle time starts anew. Raises ArangoError 1654, 1653, 28."""
        stream = self.get(ident, database)
        if stream.expired:
            raise ArangoError(1654, "transaction was aborted by its idle timeout")
        if stream.status != "running":
            raise ArangoError(1653, f"transaction '{ident}' is already {stream.status}")
        if stream.busy:
            raise ArangoError(28, f"cannot write-lock, transaction {ident} is already in use")
        self.touch(stream)
        return stream

    def touch(self, stream: Stream) -> None:
        """An operation has ended: the idle time starts anew."""
        stream.busy = False
        stream.deadline = self._clock() + self._idle

    def finish(self, ident: str, database: str, status: str) -> Stream:
        """Commit or abort; doing the same twice is fine. Raises ArangoError 1653 for the opposite, 1654."""
        stream = self.get(ident, database)
        if stream.status != status:
            self.use(ident, database)
            self._end(stream, status)
        return stream

    def _end(self, stream: Stream, status: str) -> None:
        if status == "committed":
            stream.trx.commit()
        else:
            stream.trx.abort()
        stream.status = status
        stream.deadline = self._clock() + _GARBAGE_SECONDS
        for collection in stream.write.values():
            collection.writers.discard(stream.trx.id)
            if collection.exclusive_owner == stream.trx.id:
                collection.exclusive_owner = 0

    def sweep(self) -> None:
        """Abort what has been idle too long, forget what ended long ago."""
        now = self._clock()
        for ident, stream in list(self._streams.items()):
            if now < stream.deadline or stream.busy:
                continue
            if stream.status == "running":
                stream.expired = True
                self._end(stream, "aborted")
            else:
                del self._streams[ident]

    def running(self, user: str, database: str) -> list[dict[str, str]]:
        """A user's open transactions in a database."""
        self.sweep()
        wanted = (user, database, "running")
        own = [one for one in self._streams.values() if (one.user, one.database, one.status) == wanted]
        return [{"id": stream.id, "state": "running"} for stream in own]
