"""The queries that run now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.emulators.arangodb.aql.context import Context
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.ticks import Ticks


class Queries:
    """The registry of running queries."""

    def __init__(self, ticks: Ticks) -> None:
        self._ticks = ticks
        self._running: dict[str, tuple[Context, float, dict[str, Any]]] = {}

    @contextmanager
    def running(self, context: Context, user: str, text: str, bind: dict[str, Any]) -> Iterator[None]:
        """A query is listed while this lasts."""
        ident, now = str(self._ticks.next()), time.time()
        facts = {"id": ident, "database": context.database.name, "user": user, "query": text[:4096], "bindVars": bind}
        facts["started"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        self._running[ident] = (context, now, facts)
        try:
            yield
        finally:
            del self._running[ident]

    def current(self, database: str) -> list[dict[str, Any]]:
        """What runs in a database, as the API shows it."""
        now = time.time()
        return [
            {**facts, "runTime": now - began, "peakMemoryUsage": context.memory, "state": "executing", "stream": False}
            for context, began, facts in self._running.values()
            if context.database.name == database
        ]

    def stop(self) -> None:
        """Ask all of them to end."""
        for context, _, _ in self._running.values():
            context.killed = True

    def kill(self, ident: str) -> None:
        """Ask a query to end with 1500. Raises ArangoError 1591."""
        if ident not in self._running:
            raise ArangoError(1591)
        self._running[ident][0].killed = True
