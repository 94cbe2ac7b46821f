"""The replicated state of the one server: commands applied in order, one index for all tables, a log of them.

A command is (name, JSON-able arguments); applying the same commands gives the same state, so the log on disk holds
commands and a restart applies them again. Nothing here knows sockets, wall-clock time or asyncio.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .errors import ConsulError
from .rows import from_wire, to_wire

Command = Callable[..., Any]


class CommandLog(Protocol):
    """Where commands go before they are applied."""

    def append(self, index: int, name: str, arguments: dict[str, Any]) -> None:
        """Make a command survive the process. Returns when it would survive a SIGKILL."""


class Table(Protocol):
    """A part of the state that a snapshot contains."""

    def dump(self) -> Any:
        """The content as JSON."""

    def load(self, content: Any) -> None:
        """Replace the content."""


class NoLog:
    """The log of `-dev`: nothing is kept."""

    def append(self, index: int, name: str, arguments: dict[str, Any]) -> None:
        """Forget the command."""


class Store:
    """Commands, indexes and snapshots. The tables register themselves with `part` and `command`."""

    def __init__(self, log: CommandLog | None = None) -> None:
        self.index = 0
        self.log: CommandLog = log or NoLog()
        self.on_change: Callable[[str], None] = lambda _: None
        self._indexes: dict[str, int] = {}
        self._commands: dict[str, Command] = {}
        self._parts: dict[str, Table] = {}
        self._local: set[str] = set()
        self.command("restore", self.load)

    def command(self, name: str, run: Command) -> None:
        """Make `run(**arguments)` reachable as a command."""
        self._commands[name] = run

    def part(self, name: str, table: Table, *, local: bool = False) -> None:
        """Make `table` part of what is kept; a `local` one (the agent's own) is in no snapshot."""
        self._parts[name] = table
        if local:
            self._local.add(name)

    def commit(self, name: str, *, local: bool = False, **arguments: Any) -> Any:
        """Log and apply one command; its result. Every one but a `local` one takes the next index, failed or not.

        Raises ConsulError as the command does.
        """
        if not local:
            self.index += 1
        self.log.append(self.index, name, arguments)
        return self._commands[name](**arguments)

    def replay(self, index: int, name: str, arguments: dict[str, Any]) -> None:
        """Apply a command of the log again. One that was refused then is refused again, which is no error."""
        self.index = index
        try:
            self._commands[name](**arguments)
        except ConsulError:
            return

    def touch(self, table: str) -> None:
        """Say that `table` changed at the current index, and wake who watches it."""
        self._indexes[table] = self.index
        self.on_change(table.partition(":")[0])

    def rewind(self, table: str, index: int) -> None:
        """Put a table's index back, for changes that were taken back."""
        self._indexes[table] = index

    def at(self, *tables: str) -> int:
        """The index of the last change of any of the tables; 0 when there was none."""
        return max((self._indexes.get(table, 0) for table in tables), default=0)

    def knows(self, table: str) -> bool:
        """Whether a table was ever touched."""
        return table in self._indexes

    def forget(self, table: str) -> None:
        """Drop the index of a table that is gone (a service that has no instance any more)."""
        self._indexes.pop(table, None)

    def dump(self, *, local: bool) -> dict[str, Any]:
        """Everything as JSON, for the data directory (with the `local` parts) or for a snapshot (without)."""
        parts = {name: part.dump() for name, part in self._parts.items() if local or name not in self._local}
        return {"index": self.index, "indexes": self._indexes, "parts": parts}

    def load(self, content: dict[str, Any]) -> None:
        """Replace everything by what `dump` gave. Indexes may go backwards, as after a real restore."""
        self.index, self._indexes = content["index"], dict(content["indexes"])
        for name, part in content["parts"].items():
            self._parts[name].load(part)
        for table in list(self._indexes):
            self.on_change(table.partition(":")[0])


def dump_rows(rows: Any) -> list[dict[str, Any]]:
    """Rows as JSON."""
    return [to_wire(row) for row in rows]


def load_rows(kind: type[Any], content: list[dict[str, Any]]) -> list[Any]:
    """Rows from JSON."""
    return [from_wire(kind, item) for item in content]
