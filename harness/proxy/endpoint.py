"""One of a link's two sockets, as an asyncio protocol: what it reads goes into one pipe, what it writes is the other's.

Bytes go from `data_received` straight to the other transport's `write`: no stream objects, no task, no copy of ours.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Protocol, cast

from harness.proxy.stream import Bytes, Ending

WRITE_HIGH = 256 * 1024
WRITE_LOW = 64 * 1024
LINGER_NONE = struct.pack("ii", 1, 0)
"""SO_LINGER on with zero seconds: closing sends RST and throws unsent bytes away."""


@dataclass
class Traffic:
    """Bytes of one direction of one proxy, all its connections together."""

    received: int = 0
    sent: int = 0


class Inlet(Protocol):
    """Where an endpoint's bytes go."""

    def feed(self, data: bytes) -> None:
        """Take what was read."""

    def end(self) -> None:
        """The peer has no more to say, or is gone."""


class Owner(Protocol):
    """Who is told what becomes of an endpoint."""

    def connected(self, endpoint: Endpoint) -> None:
        """Its socket is there; nothing is read yet."""

    def room(self, endpoint: Endpoint) -> None:
        """Its write buffer has drained, or will never matter again."""

    def finished(self) -> None:
        """Nothing more will be written to one of them."""

    def lost(self, endpoint: Endpoint) -> None:
        """Its socket is closed."""


class Endpoint(asyncio.Protocol):
    """Source of one pipe and outlet of the other. Reads nothing until `resume`."""

    def __init__(self, owner: Owner, traffic: Traffic) -> None:
        self.inlet: Inlet | None = None
        self.gone = False
        self.done = False
        self._owner = owner
        self._traffic = traffic
        self._transport: asyncio.Transport | None = None
        self._full = False

    # -- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        self._transport.pause_reading()
        # Python 3.11.2 (Debian 12's own) starts reading after this all the same, and bytes read now would be lost.
        asyncio.get_running_loop().call_soon(self._hold, self._transport)
        self._owner.connected(self)

    @staticmethod
    def _hold(transport: asyncio.Transport) -> None:
        """Pause a paused transport in earnest, which takes resuming it for a moment in which nothing is read."""
        if not (transport.is_reading() or transport.is_closing()):
            transport.resume_reading()
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self.inlet is not None:
            self.inlet.feed(data)

    def eof_received(self) -> bool:
        if self.inlet is not None:
            self.inlet.end()
        return True  # the other direction goes on: the link closes when both have ended

    def pause_writing(self) -> None:
        self._full = True
        self._owner.room(self)

    def resume_writing(self) -> None:
        self._full = False
        self._owner.room(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.gone = self.done = True
        if self.inlet is not None:
            self.inlet.end()
        self._owner.lost(self)

    # -- as an outlet -----------------------------------------------------------------------------------------

    def full(self) -> bool:
        return self._full and not self.done

    def put(self, data: Bytes) -> None:
        if self.done or self._transport is None:
            return
        self._traffic.sent += len(data)
        self._transport.write(data)

    def finish(self, ending: Ending) -> None:
        if self.done or self._transport is None:
            return
        self.done = True
        if ending is Ending.CLOSE:
            self._transport.close()
        else:
            self._half_close(self._transport)
        self._owner.finished()

    # -- as a source ------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop reading, so that the peer has to wait."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read."""
        if self._transport is not None:
            self._transport.resume_reading()

    # -- ends -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close once everything written has been delivered."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now; what was not delivered is lost."""
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Close now, with RST."""
        if self._transport is not None and not self.gone:
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            self._transport.abort()

    @staticmethod
    def _half_close(transport: asyncio.Transport) -> None:
        try:
            transport.write_eof()
        except OSError:  # the peer has reset it, so there is nobody to say goodbye to
            transport.abort()
