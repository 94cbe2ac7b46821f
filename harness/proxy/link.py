"""One connection: a client, an upstream, and a pipe each way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

from harness.proxy.endpoint import Endpoint, Traffic
from harness.proxy.entry import Entry
from harness.proxy.pipe import Pipe
from harness.proxy.stream import Stream

log = logging.getLogger(__name__)


class Owner(Protocol):
    """The proxy that a link belongs to."""

    def accepted(self, link: Link) -> None:
        """A client is there; the upstream has to be dialled."""

    def over(self, link: Link) -> None:
        """Both sockets are closed."""


class Link:
    """Made when a client is accepted; `open` when the upstream is connected too. Over when both sockets are closed.

    A direction that ends is half-closed and the other goes on; when both have ended both sockets are closed.
    """

    def __init__(self, traffic: Mapping[Stream, Traffic], key: str, owner: Owner) -> None:
        self.closed = asyncio.Event()
        self.client = Endpoint(self, traffic[Stream.DOWNSTREAM])
        self.upstream = Endpoint(self, traffic[Stream.UPSTREAM])
        self._upstream_connected = False
        self._owner = owner
        up, down = Stream.UPSTREAM, Stream.DOWNSTREAM
        self._pipes = {
            up: Pipe(self.client, self.upstream, traffic[up], self, f"{key}/{up}"),
            down: Pipe(self.upstream, self.client, traffic[down], self, f"{key}/{down}"),
        }

    def open(self, entries: Iterable[Entry]) -> None:
        """Begin to carry bytes, through these toxics."""
        self.client.inlet = self._pipes[Stream.UPSTREAM]
        self.upstream.inlet = self._pipes[Stream.DOWNSTREAM]
        for entry in entries:
            self.apply(entry)
        for pipe in self._pipes.values():
            pipe.poke()

    def apply(self, entry: Entry) -> None:
        """Add a toxic to its direction, or give it new settings."""
        if self.client.inlet is not None:
            self._pipes[entry.stream].apply(entry)

    def retract(self, entry: Entry) -> None:
        """Remove a toxic from its direction."""
        self._pipes[entry.stream].retract(entry.serial)

    def abort(self) -> None:
        """Close both sockets now."""
        self.client.abort()
        self.upstream.abort()

    def reset(self) -> None:
        """End both sockets with RST, whenever they were opened."""
        self.client.reset()
        self.upstream.reset()

    def fail(self, error: Exception) -> None:
        """A toxic broke: a defect of the toxic, so it is told loudly and the connection ends."""
        log.error("a toxic failed, its connection is closed", exc_info=error)
        self.abort()

    # -- for the endpoints ------------------------------------------------------------------------------------

    def connected(self, endpoint: Endpoint) -> None:
        """Accepted, or dialled."""
        if endpoint is self.client:
            self._owner.accepted(self)
        else:
            self._upstream_connected = True

    def room(self, endpoint: Endpoint) -> None:
        """The pipe that ends at `endpoint` may go on, or has to wait."""
        self._into(endpoint).poke()

    def finished(self) -> None:
        """One direction has ended; with both, the connection has."""
        if self.client.done and self.upstream.done:
            self.client.close()
            self.upstream.close()

    def lost(self, endpoint: Endpoint) -> None:
        """A socket is closed, so the direction into it is over; the one out of it still delivers what it holds."""
        self._into(endpoint).abandon()
        self.finished()
        if self.client.gone and (self.upstream.gone or not self._upstream_connected):
            self.closed.set()
            self._owner.over(self)

    def _into(self, endpoint: Endpoint) -> Pipe:
        return self._pipes[Stream.DOWNSTREAM if endpoint is self.client else Stream.UPSTREAM]
