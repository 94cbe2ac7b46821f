"""The replicated state of the one server: tables of rows that change in commits, one index for all of them.

A commit takes the next index, is undone whole when it is refused, is logged whole when it is not, and then wakes who
watches. Rows are never changed in place. Nothing here knows sockets, wall-clock time or asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .rows import from_wire, to_wire

Change = tuple[str, Any]
"""A row that changed: its table and its key."""

TOMBSTONES = "tombstones"
TOMBSTONES_KEPT = 50_000


class Store:
    """Tables by name. `log` is called with each commit's record before anybody is told that it happened."""

    def __init__(self) -> None:
        self.index = 0
        self.log: Callable[[list[Any]], None] = lambda _record: None
        self.on_change: Callable[[str], None] = lambda _table: None
        self._tables: dict[str, dict[Any, Any]] = {}
        self._kinds: dict[str, type[Any] | None] = {}
        self._local: set[str] = set()
        self._indexes: dict[str, int] = {}
        self._old: dict[Change, Any] | None = None

    def table(self, name: str, kind: type[Any] | None = None, *, local: bool = False) -> dict[Any, Any]:
        """The rows of a table, to be read; of dataclass `kind`, or plain JSON. A `local` one is in no snapshot."""
        self._kinds[name] = kind
        if local:
            self._local.add(name)
        return self._tables.setdefault(name, {})

    @contextmanager
    def commit(self, *, local: bool = False) -> Iterator[None]:
        """Change rows. What raises undoes everything, but for the index, which only a `local` commit does not take.

        Inside another commit it is part of that one.
        """
        if self._old is not None:
            yield
            return
        self.index += not local
        self._old, before = {}, dict(self._indexes)
        try:
            yield
            if self._old or self._indexes != before:
                self.log(self._record(before))
        except BaseException:
            for (table, key), row in reversed(self._old.items()):
                self._set(table, key, row)
            self._indexes.clear()
            self._indexes.update(before)
            raise
        finally:
            self._old = None
        for name in self._indexes.keys() | before.keys():
            if self._indexes.get(name) != before.get(name):
                self.on_change(name.partition(":")[0])

    def _record(self, before: dict[str, int]) -> list[Any]:
        rows = [[table, key, self._shown(table, key)] for table, key in self._old or {}]
        names = [name for name in self._indexes.keys() | before.keys() if self._indexes.get(name) != before.get(name)]
        return [self.index, rows, {name: self._indexes.get(name) for name in names}]

    def replay(self, index: int, rows: list[Any], indexes: dict[str, int | None]) -> None:
        """Apply a record of the log again."""
        self.index = index
        for table, key, shown in rows:
            self._set(table, _hashable(key), self._read(table, shown))
        for name, value in indexes.items():
            self._indexes.pop(name, None)
            if value is not None:
                self._indexes[name] = value

    def put(self, table: str, key: Any, row: Any) -> None:
        """Set a row, or with None take it away. Only within a commit."""
        if self._old is None:
            raise RuntimeError(f"{table}: changed outside a commit")
        self._old.setdefault((table, key), self._tables[table].get(key))
        self._set(table, key, row)

    def _set(self, table: str, key: Any, row: Any) -> None:
        if row is None:
            self._tables[table].pop(key, None)
        else:
            self._tables[table][key] = row

    def touch(self, *tables: str) -> None:
        """Say that tables changed at the current index."""
        self._indexes.update(dict.fromkeys(tables, self.index))

    def forget(self, table: str) -> None:
        """Drop the index of a table that is gone (a service that has no instance any more)."""
        self._indexes.pop(table, None)

    def at(self, *tables: str) -> int:
        """The index of the last change of any of the tables; 0 when there was none."""
        return max((self._indexes.get(table, 0) for table in tables), default=0)

    def _shown(self, table: str, key: Any) -> Any:
        row = self._tables[table].get(key)
        return to_wire(row) if row is not None and self._kinds[table] else row

    def _read(self, table: str, shown: Any) -> Any:
        kind = self._kinds[table]
        return from_wire(kind, shown) if kind and shown is not None else shown

    def dump(self, *, local: bool) -> dict[str, Any]:
        """Everything as JSON, for the data directory (with the `local` tables) or for a snapshot (without)."""
        names = [name for name in self._tables if local or name not in self._local]
        tables = {name: [[key, self._shown(name, key)] for key in self._tables[name]] for name in names}
        return {"index": self.index, "indexes": self._indexes, "tables": tables}

    def load(self, content: dict[str, Any]) -> None:
        """Replace what `dump` gave. Indexes may go backwards, as after a real restore."""
        self.index, self._indexes = content["index"], dict(content["indexes"])
        for name, rows in content["tables"].items():
            self._tables[name].clear()
            self._tables[name].update({_hashable(key): self._read(name, shown) for key, shown in rows})
        for name in list(self._indexes):
            self.on_change(name.partition(":")[0])


def _hashable(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key
