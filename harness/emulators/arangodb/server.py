"""The whole server's state: catalogue, users, graphs, transactions, cursors, queries. No sockets, no HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from harness.emulators.arangodb.auth import Authenticator
from harness.emulators.arangodb.catalog import SYSTEM, Catalog
from harness.emulators.arangodb.cursors import Cursors
from harness.emulators.arangodb.documents import Documents
from harness.emulators.arangodb.graphs import Graphs
from harness.emulators.arangodb.index_catalog import expire
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
        self.catalog = Catalog(self.ticks, defects)
        self.users = Users(self._save_user, "open-auth" in defects)
        self.documents = Documents(self.ticks, "ignored-if-match" in defects)
        self.graphs = Graphs(self.catalog, self.documents)
        self.streams = Streams(self.catalog.store, self.ticks, time.monotonic, options.idle_timeout)
        self.cursors = Cursors(self.ticks, time.monotonic, "cursor-skips-row" in defects)
        self.queries = Queries(self.ticks)
        self.auth = Authenticator(self.users, options.jwt_secret, options.authentication)
        replayed = self._replay(log) if log is not None else 0
        self.catalog.log = log
        if not replayed:
            self.catalog.create_database(SYSTEM)
            self.users.create(ROOT, {"passwd": options.root_password})
            self.users.grant(ROOT, "*", "rw")

    def _save_user(self, name: str, facts: dict[str, Any] | None) -> None:
        self.catalog.record({"k": "user", "name": name, "facts": facts})

    def _replay(self, log: Log) -> int:
        """Become what the journal says; gives the number of its records."""
        records = 0
        for record in log.replay():
            self.ticks.restore(record["t"])
            if record["k"] == "user":
                self.users.load(record["name"], record["facts"])
            else:
                self.catalog.replay(record)
            records += 1
        self.catalog.finish_replay()
        if records > _REWRITE_FROM:
            log.rewrite({"t": self.ticks.last, **record} for record in self._snapshot())
        return records

    def _snapshot(self) -> Iterator[Record]:
        yield from ({"k": "user", "name": user.name, "facts": vars(user)} for user in self.users.all())
        yield from self.catalog.snapshot(_BATCH)

    def sweep(self) -> None:
        """Expire cursors and idle stream transactions."""
        self.cursors.sweep()
        self.streams.sweep()

    def expire(self, now: float) -> int:
        """Remove what TTL indexes say is over at `now` (seconds since 1970); gives how many documents."""
        if self.read_only or "ttl-never-expires" in self.defects:
            return 0
        trx = self.catalog.store.begin()
        free = [collection for collection in self.catalog.collections() if not collection.exclusive_owner]
        removed = sum(expire(trx, collection, now) for collection in free)
        trx.commit()
        return removed

    def close(self) -> None:
        """Refuse requests, end running queries, sync the data directory."""
        self.stopping = True
        self.queries.stop()
        if self.catalog.log is not None:
            self.catalog.log.close()
