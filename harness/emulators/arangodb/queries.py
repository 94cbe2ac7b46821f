"""The queries that run now and those that were slow."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.aql.context import Context
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.ticks import Ticks


@dataclass
class Running:
    """One query being executed."""

    id: str
    database: str
    user: str
    text: str
    bind: dict[str, Any]
    context: Context
    started: float

    def facts(self, state: str = "executing") -> dict[str, Any]:
        """The query as the API shows it."""
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started))
        shown: dict[str, Any] = {"id": self.id, "database": self.database, "user": self.user, "query": self.text[:4096]}
        shown |= {"bindVars": self.bind, "dataSources": list(self.context.read), "started": began}
        return {**shown, "runTime": time.time() - self.started, "peakMemoryUsage": 0, "state": state, "stream": False}


class Queries:
    """The registry of running queries; one that took `slow_seconds` is remembered."""

    def __init__(self, ticks: Ticks, slow_seconds: float) -> None:
        self._ticks = ticks
        self._running: dict[str, Running] = {}
        self._slow: deque[tuple[str, dict[str, Any]]] = deque(maxlen=64)
        self.properties: dict[str, Any] = {
            "enabled": True, "trackSlowQueries": True, "trackBindVars": True, "maxSlowQueries": 64,
            "slowQueryThreshold": slow_seconds, "slowStreamingQueryThreshold": slow_seconds,
            "maxQueryStringLength": 4096,
        }  # fmt: skip

    def start(self, context: Context, user: str, text: str, bind: dict[str, Any]) -> Running:
        """Register a query."""
        running = Running(str(self._ticks.next()), context.database.name, user, text, bind, context, time.time())
        self._running[running.id] = running
        return running

    def end(self, running: Running) -> None:
        """Forget a query, or keep it among the slow ones."""
        del self._running[running.id]
        if time.time() - running.started >= self.properties["slowQueryThreshold"]:
            self._slow.append((running.database, running.facts("finished")))

    def current(self, database: str) -> list[dict[str, Any]]:
        """What runs in a database."""
        return [running.facts() for running in self._running.values() if running.database == database]

    def slow(self, database: str) -> list[dict[str, Any]]:
        """What was slow in a database."""
        return [facts for name, facts in self._slow if name == database]

    def clear_slow(self) -> None:
        """Forget the slow ones."""
        self._slow.clear()

    def stop(self) -> None:
        """Ask all of them to end."""
        for running in self._running.values():
            running.context.killed = True

    @property
    def count(self) -> int:
        """How many run."""
        return len(self._running)

    def kill(self, ident: str) -> None:
        """Ask a query to end with 1500. Raises ArangoError 1591, or 10 for what is no id."""
        if not ident.isdigit():
            raise ArangoError(10, "invalid query id")
        if ident not in self._running:
            raise ArangoError(1591)
        self._running[ident].context.killed = True
