"""The whole server's state: catalogue, users, graphs, transactions, cursors, queries. No sockets, no HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from harness.emulators.arangodb.auth import Authenticator
from harness.emulators.arangodb.catalog import SYSTEM, Catalog, Database
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.cursors import Cursors
from harness.emulators.arangodb.documents import Documents
from harness.emulators.arangodb.graphs import Graphs
from harness.emulators.arangodb.index_catalog import definition, expire, restore_index
from harness.emulators.arangodb.log import Log, Record
from harness.emulators.arangodb.options import Options
from harness.emulators.arangodb.queries import Queries
from harness.emulators.arangodb.streams import Streams
from harness.emulators.arangodb.ticks import Ticks
from harness.emulators.arangodb.users import ROOT, Users
from harness.emulators.runner import Defects

_REWRITE_FROM = 5000
"""A journal of more records is rewritten at start, with so many documents in a record:"""
_BATCH = 500


class Server:
    """One arangod. Whoever reads or changes it holds `lock`; long queries let go of it now and then."""

    def __init__(self, options: Options, defects: Defects, log: Log | None = None) -> None:
        self.options = options
        self.defects = defects
        self.lock = threading.RLock()
        self.started = time.time()
        self.read_only = False
        self.stopping = False
        self.inserts = 0
        self.requests = 0
        self.ticks = Ticks(time.time)
        self.catalog = Catalog(self.ticks, defects, None)
        self.users = Users(self._save_user, "open-auth" in defects)
        self.documents = Documents(self.ticks, "ignored-if-match" in defects)
        self.graphs = Graphs(self.catalog, self.documents)
        self.streams = Streams(self.catalog.store, self.ticks, time.monotonic, options.idle_timeout)
        self.cursors = Cursors(self.ticks, time.monotonic, "cursor-skips-row" in defects)
        self.queries = Queries(self.ticks, options.slow_seconds)
        self.auth = Authenticator(self.users, options.jwt_secret, options.authentication)
        self._load(log)

    def _save_user(self, name: str, facts: dict[str, Any] | None) -> None:
        self.catalog.record({"k": "user", "name": name, "facts": facts})

    def _load(self, log: Log | None) -> None:
        fresh = log is None or log.is_empty
        if log is not None and not fresh:
            records = 0
            for record in log.replay():
                self.ticks.restore(record["t"])
                _REPLAY[record["k"]](self, record)
                records += 1
            self._index_all()
            if records > _REWRITE_FROM:
                log.rewrite(self._snapshot())
        self.catalog.log = log
        if fresh:
            self.catalog.create_database(SYSTEM)
            root = self.users.create(ROOT, self.options.root_password)
            root.databases["*"] = "rw"
            self.users.save(root)

    # -- replay

    def _replay_db(self, record: Record) -> None:
        self.catalog.databases[record["name"]] = Database(record["id"], record["name"])

    def _replay_dropdb(self, record: Record) -> None:
        kept = {name: item for name, item in self.catalog.databases.items() if item.id != record["id"]}
        self.catalog.databases = kept

    def _by_id(self, ident: str) -> tuple[Database, Collection] | None:
        return next((pair for pair in self.catalog.all_collections() if pair[1].id == ident), None)

    def _target(self, ident: str, known: dict[str, Collection | None]) -> Collection | None:
        if ident not in known:
            found = self._by_id(ident)
            known[ident] = found[1] if found else None
        return known[ident]

    def _replay_coll(self, record: Record) -> None:
        found = self._by_id(record["id"])
        name, facts = record["name"], record["facts"]
        if found is None:
            database = next(item for item in self.catalog.databases.values() if item.id == facts["db"])
            database.collections[name] = Collection(record["id"], name, record["type"], facts)
            return
        database, collection = found
        del database.collections[collection.name]
        if collection.name != name:
            collection.current = {key: {**doc, "_id": f"{name}/{key}"} for key, doc in collection.current.items()}
        collection.name, collection.facts = name, facts
        database.collections[name] = collection

    def _replay_dropcoll(self, record: Record) -> None:
        found = self._by_id(record["id"])
        if found:
            del found[0].collections[found[1].name]

    def _replay_index(self, record: Record) -> None:
        found = self._by_id(record["coll"])
        if found:
            found[1].indexes.append(restore_index(record["def"]))

    def _replay_dropindex(self, record: Record) -> None:
        found = self._by_id(record["coll"])
        if found:
            found[1].indexes = [index for index in found[1].indexes if index.id != record["id"]]

    def _replay_user(self, record: Record) -> None:
        self.users.load(record["name"], record["facts"])

    def _replay_trx(self, record: Record) -> None:
        known: dict[str, Collection | None] = {}
        for ident, key, doc in record["w"]:
            collection = self._target(ident, known)
            if collection is None:
                continue
            if doc is None:
                collection.current.pop(key, None)
            else:
                collection.current[key] = doc
                collection.revision = doc["_rev"]

    def _index_all(self) -> None:
        for _, collection in self.catalog.all_collections():
            for index in collection.indexes:
                rows = collection.current.items()
                index.fill([(entry, key) for key, doc in rows for entry in index.entries(doc)])
            options = collection.facts["keyOptions"]
            if options["type"] == "autoincrement":
                numbers = (int(key) for key in collection.current if key.isdigit())
                options["lastValue"] = max(numbers, default=options["lastValue"])

    def _snapshot(self) -> Iterator[Record]:
        tick = {"t": self.ticks.last}
        for user in self.users.all():
            yield {**tick, "k": "user", "name": user.name, "facts": vars(user)}
        for database in self.catalog.databases.values():
            yield {**tick, "k": "db", "id": database.id, "name": database.name}
            for coll in database.collections.values():
                facts = {"id": coll.id, "name": coll.name, "type": coll.kind, "facts": coll.facts}
                yield {**tick, "k": "coll", **facts}
                for index in coll.indexes:
                    if index.kind != "edge":
                        yield {**tick, "k": "index", "coll": coll.id, "def": definition(index)}
                writes = [[coll.id, key, doc] for key, doc in coll.current.items()]
                for start in range(0, len(writes), _BATCH):
                    yield {**tick, "k": "trx", "w": writes[start : start + _BATCH]}

    # -- time

    def sweep(self) -> None:
        """Expire cursors and idle stream transactions."""
        self.cursors.sweep()
        self.streams.sweep()

    def expire(self, now: float) -> int:
        """Remove what TTL indexes say is over at `now` (seconds since 1970); gives how many documents."""
        if self.read_only or "ttl-never-expires" in self.defects:
            return 0
        trx = self.catalog.store.begin()
        removed = 0
        for _, collection in self.catalog.all_collections():
            if not collection.exclusive_owner and any(index.kind == "ttl" for index in collection.indexes):
                removed += expire(trx, collection, now)
        trx.commit()
        return removed

    def close(self) -> None:
        """Refuse requests, end running queries, sync the data directory."""
        self.stopping = True
        self.queries.stop()
        if self.catalog.log is not None:
            self.catalog.log.close()


_REPLAY = {
    "db": Server._replay_db,
    "dropdb": Server._replay_dropdb,
    "coll": Server._replay_coll,
    "dropcoll": Server._replay_dropcoll,
    "index": Server._replay_index,
    "dropindex": Server._replay_dropindex,
    "user": Server._replay_user,
    "trx": Server._replay_trx,
}
