"""Cursors: query results handed out in batches, gone after the last one or after their time to live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.ticks import Ticks


@dataclass
class Cursor:
    """Rows not yet fetched. `batch` is the number of the batch served last, which `allow_retry` keeps in `previous`."""

    database: str
    rows: list[Any]
    facts: dict[str, Any]
    batch_size: int
    ttl: float
    allow_retry: bool
    id: str = ""
    deadline: float = 0
    at: int = 0
    batch: int = 0
    previous: dict[str, Any] | None = None


class Cursors:
    """All open cursors. `clock` gives seconds; `skip_rows` is a seeded defect."""

    def __init__(self, ticks: Ticks, clock: Callable[[], float], skip_rows: bool = False) -> None:
        self._ticks, self._clock, self._skip = ticks, clock, skip_rows
        self._cursors: dict[str, Cursor] = {}

    def open(self, cursor: Cursor) -> dict[str, Any]:
        """Register a cursor and serve its first batch."""
        if len(cursor.rows) <= cursor.batch_size and not cursor.allow_retry:
            return {"result": cursor.rows, "hasMore": False, **cursor.facts}
        cursor.id = str(self._ticks.next())
        self._cursors[cursor.id] = cursor
        return self._serve(cursor)

    def _serve(self, cursor: Cursor) -> dict[str, Any]:
        start = cursor.at + (1 if self._skip and cursor.batch else 0)
        cursor.at += cursor.batch_size
        cursor.batch += 1
        cursor.deadline = self._clock() + cursor.ttl
        more = cursor.at < len(cursor.rows)
        answer = {"result": cursor.rows[start : cursor.at], "hasMore": more, **cursor.facts}
        if more:
            answer |= {"id": cursor.id, "nextBatchId": str(cursor.batch + 1)}
        elif not cursor.allow_retry:
            del self._cursors[cursor.id]
        cursor.previous = answer if cursor.allow_retry else None
        return answer

    def _get(self, ident: str, database: str) -> Cursor:
        self.sweep()
        cursor = self._cursors.get(ident)
        if cursor is None or cursor.database != database:
            raise ArangoError(1600)
        return cursor

    def next(self, ident: str, database: str, batch: str = "") -> dict[str, Any]:
        """The next batch; by its number the last one again, if retry is allowed. Raises ArangoError 1600, 400."""
        cursor = self._get(ident, database)
        if not cursor.allow_retry and batch == str(cursor.batch):
            raise ArangoError(400, "retry is not allowed for this cursor")
        if cursor.previous is not None and batch == str(cursor.batch):
            cursor.deadline = self._clock() + cursor.ttl
            return cursor.previous
        if cursor.at >= len(cursor.rows) or batch not in ("", str(cursor.batch + 1)):
            raise ArangoError(1600)
        return self._serve(cursor)

    def close(self, ident: str, database: str) -> None:
        """Forget a cursor. Raises ArangoError 1600."""
        del self._cursors[self._get(ident, database).id]

    def sweep(self) -> None:
        """Drop cursors whose time is over."""
        now = self._clock()
        for ident in [ident for ident, cursor in self._cursors.items() if cursor.deadline < now]:
            del self._cursors[ident]
