"""Grafana's database: one SQLite file of JSON documents, kept through kill -9 by SQLite's own journal.

It knows documents (kind, organization, uid) and counters; what they mean is the business of the modules above.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entity (kind TEXT, org INTEGER, uid TEXT, body TEXT NOT NULL,
                                   PRIMARY KEY (kind, org, uid));
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


def new_uid() -> str:
    """A generated uid: 14 lower-case letters and digits, as Grafana's short ids look."""
    return secrets.choice(_ALPHABET[10:]) + "".join(secrets.choice(_ALPHABET) for _ in range(13))


class Store:
    """Documents by (kind, org, uid), in order of creation. Without a path it lives in memory."""

    def __init__(self, path: Path | None = None, wal: bool = False) -> None:
        """Open or create. Raises sqlite3.DatabaseError when the file is not a database."""
        self._path = path
        self._db = sqlite3.connect(str(path) if path else ":memory:", isolation_level=None, timeout=0.5)
        self._db.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._depth = 0

    def get(self, kind: str, org: int, uid: str) -> Document | None:
        """One document, or None."""
        query = "SELECT body FROM entity WHERE kind=? AND org=? AND uid=?"
        row = self._db.execute(query, (kind, org, uid)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, kind: str, org: int, uid: str, body: Document) -> Document:
        """Insert or replace; a replaced document keeps its place in the order."""
        sql = "INSERT INTO entity VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET body=excluded.body"
        self._db.execute(sql, (kind, org, uid, json.dumps(body)))
        return body

    def delete(self, kind: str, org: int, uid: str) -> bool:
        """Whether there was something to delete."""
        query = "DELETE FROM entity WHERE kind=? AND org=? AND uid=?"
        return self._db.execute(query, (kind, org, uid)).rowcount > 0

    def all(self, kind: str, org: int | None = None) -> list[Document]:
        """Every document of a kind, of one organization or of all."""
        where, values = ("", (kind,)) if org is None else (" AND org=?", (kind, org))
        rows = self._db.execute(f"SELECT body FROM entity WHERE kind=?{where} ORDER BY rowid", values)  # noqa: S608
        return [json.loads(row[0]) for row in rows]

    def find(self, kind: str, org: int | None, field: str, value: object) -> Document | None:
        """The first document whose top-level `field` equals `value`."""
        return next((body for body in self.all(kind, org) if body.get(field) == value), None)

    def next_id(self, name: str) -> int:
        """The next number of a counter, from 1; never given twice, also not after a deletion."""
        sql = "INSERT INTO counter VALUES (?, 1) ON CONFLICT DO UPDATE SET value=value+1 RETURNING value"
        return int(self._db.execute(sql, (name,)).fetchall()[0][0])

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All writes inside become visible together, or none when the block raises. May be nested."""
        self._depth += 1
        if self._depth == 1:
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._depth == 1:
                self._db.execute("ROLLBACK")
            raise
        else:
            if self._depth == 1:
                self._db.execute("COMMIT")
        finally:
            self._depth -= 1

    def check(self) -> bool:
        """Whether the database still answers; a file that was taken away counts as failing."""
        try:
            self._db.execute("SELECT count(*) FROM counter").fetchone()
        except sqlite3.Error:
            return False
        return self._path is None or self._path.exists()

    def close(self) -> None:
        """Checkpoint and release the file."""
        self._db.close()
