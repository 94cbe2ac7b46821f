"""The toxics of one proxy, by name, and their application to its live links."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness.proxy.body import Body
from harness.proxy.entry import Entry, read_entry, revise_entry
from harness.proxy.errors import ApiError, Problem
from harness.proxy.link import Link
from harness.proxy.stream import Stream


class Chain:
    """Ordered as added. Every change is applied to all links before the call returns, in one synchronous step."""

    def __init__(self, links: Callable[[], Iterable[Link]]) -> None:
        self._links = links
        self._entries: dict[str, Entry] = {}
        self._serial = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All toxics, upstream ones first as upstream lists them, each direction in the order of its chain."""
        order = list(Stream)
        return tuple(sorted(self._entries.values(), key=lambda entry: (order.index(entry.stream), entry.serial)))

    def get(self, name: str) -> Entry:
        """The toxic of that name. Raises ApiError (404)."""
        if name not in self._entries:
            raise ApiError(Problem.TOXIC_NOT_FOUND)
        return self._entries[name]

    def add(self, body: Body) -> Entry:
        """A new toxic at the end of its direction. Raises ApiError (400, or 409 for a name that is taken)."""
        entry = read_entry(body, self._serial + 1)
        if entry.name in self._entries:
            raise ApiError(Problem.TOXIC_EXISTS)
        self._serial = entry.serial
        self._set(entry)
        return entry

    def update(self, name: str, body: Body) -> Entry:
        """New attributes or toxicity for a toxic; it keeps its place and its draws. Raises ApiError (400, 404)."""
        entry = revise_entry(self.get(name), body)
        self._set(entry)
        return entry

    def remove(self, name: str) -> None:
        """Remove a toxic from every link. Raises ApiError (404)."""
        entry = self.get(name)
        del self._entries[name]
        for link in tuple(self._links()):
            link.retract(entry)

    def clear(self) -> None:
        """Remove all toxics."""
        for name in tuple(self._entries):
            self.remove(name)

    def _set(self, entry: Entry) -> None:
        self._entries[entry.name] = entry
        for link in tuple(self._links()):
            link.apply(entry)
