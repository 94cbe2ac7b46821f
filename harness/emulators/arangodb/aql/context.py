"""What a running query may touch: its transaction, collections, statistics, warnings, time and limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.emulators.arangodb.catalog import Database
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.documents import Documents
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.indexes import Document
from harness.emulators.arangodb.store import Transaction

Row = dict[str, Any]
Evaluate = Callable[[Row], Any]


class AqlWarning(Exception):
    """A function cannot give a value: the query gets a warning and null."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True)
class Limits:
    """Options of a query that bound it; zero means no bound. Seconds and bytes."""

    max_runtime: float = 0
    memory: int = 0
    max_warnings: int = 10
    fail_on_warning: bool = False


@dataclass
class Context:
    """One query's surroundings.

    `authorize` raises for a collection that may not be read or (True) written, `graph` gives a graph's definition by
    name or raises ArangoError 1924, `pause` lets other requests run and is called now and then.
    """

    database: Database
    trx: Transaction
    documents: Documents
    authorize: Callable[[Collection, bool], None]
    graph: Callable[[str], Document]
    limits: Limits = field(default_factory=Limits)
    pause: Callable[[float], None] = lambda _seconds: None
    killed: bool = False
    memory: int = 0
    stats: dict[str, int] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    read: dict[str, Collection] = field(default_factory=dict)
    written: dict[str, Collection] = field(default_factory=dict)
    _work: int = 0

    def collection(self, name: str, write: bool = False) -> Collection:
        """A collection the query names. Raises ArangoError 1203, 11, 1652."""
        used = self.written if write else self.read
        if name not in used:
            found = self.database.find(name)
            self.authorize(found, write)
            used[name] = found
        return used[name]

    def reading(self, name: str) -> Collection:
        """A collection read by the query's text. Raises ArangoError 1579 if the text has written to it before."""
        if name in self.written:
            raise ArangoError(1579, f"access after data-modification by traversal or query on collection '{name}'")
        return self.collection(name)

    def lookup(self, ident: Any) -> Document | None:
        """A document by id, or None if the id, its collection or the document does not exist."""
        name, _, key = ident.partition("/") if isinstance(ident, str) else ("", "", "")
        if name not in self.database.collections:
            return None
        self.bump("documentLookups")
        return self.trx.get(self.collection(name), key)

    def bump(self, name: str, by: int = 1) -> None:
        """Count something in the query's statistics."""
        self.stats[name] = self.stats.get(name, 0) + by

    def warn(self, number: int, message: str) -> None:
        """Add a warning. Raises it as ArangoError with failOnWarning."""
        if self.limits.fail_on_warning:
            raise ArangoError(number, message)
        if len(self.warnings) < self.limits.max_warnings:
            self.warnings.append({"code": number, "message": message})

    def step(self) -> None:
        """Called once per row: every so often checks for an end (1500) and lets others run."""
        self._work += 1
        if self._work % 64 == 0:
            self.check()
            self.pause(0)

    def check(self) -> None:
        """Raise ArangoError 1500 if the query was killed or is out of time."""
        if self.killed or (self.limits.max_runtime and time.monotonic() - self.started > self.limits.max_runtime):
            raise ArangoError(1500)

    def sleep(self, seconds: float) -> None:
        """Wait, still killable."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.pause(min(left, 0.02))
            self.check()

    def hold(self, size: int) -> None:
        """Account for memory kept by the query, in bytes. Raises ArangoError 32 over the limit."""
        self.memory += size
        if self.limits.memory and self.memory > self.limits.memory:
            raise ArangoError(32, "AQL: query would use more memory than allowed (while executing)")
