"""All connections that a service allows are taken: new clients are turned away, old ones go on."""

from __future__ import annotations

import resource
import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from harness.errors import FaultError
from harness.faults.base import Fault, Injection, answering
from harness.model import Endpoint
from harness.ports import Handle, Killable

CONNECT_WITHIN = 2.0
"""Seconds; a service whose backlog is full does not answer at all."""
TAKE_WITHIN = 5.0
SPEAKS_WITHIN = 0.05
"""Seconds in which a service has turned away whom it does not want."""
BATCH = 64
AGAIN = 0.02
OUR_OWN = 256
"""Files that this process needs beside the crowd's."""


@dataclass(frozen=True)
class ConnectionExhaustion(Fault):
    """Opens idle connections to the first address: `most` of them, more than the service's own limit."""

    name: ClassVar[str] = "connection_exhaustion"
    needs: ClassVar[tuple[type, ...]] = (Handle, Killable)
    """A service of ours: a stranger's is not to be filled up."""
    most: int = 256

    def on(self, target: Handle) -> Injection:
        """Take them; give them back."""
        crowd = Crowd(target.endpoint(), self.most)
        return Injection(
            f"{self.most} idle connections to {target.name}", crowd.take, crowd.leave, lambda: answering(target)
        )


def _make_room(descriptors: int) -> None:
    """Let this process hold so many more files. Raises FaultError when it may not: running out of them ourselves would
    look like the service turning clients away."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = descriptors + OUR_OWN
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise FaultError(f"{descriptors} connections: this process may open {hard} files", "ask for fewer (most)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@dataclass
class Crowd:
    """Idle connections to one address."""

    endpoint: Endpoint
    most: int
    held: list[socket.socket] = field(default_factory=list)
    _leaving: threading.Event = field(default_factory=threading.Event)
    _knocking: threading.Thread | None = None

    def take(self) -> None:
        """Connect until there are enough, or the service lets nobody in any more; then go on knocking, because a place
        that a client of others leaves would be free for the next one."""
        _make_room(self.most)
        end = time.monotonic() + TAKE_WITHIN
        while self._take_more() and time.monotonic() < end:
            pass
        self._leaving.clear()
        self._knocking = threading.Thread(target=self._stay, name="crowd", daemon=True)
        self._knocking.start()

    def _stay(self) -> None:
        while not self._leaving.wait(AGAIN):
            self._take_more()

    def _take_more(self) -> int:
        """How many more were let in."""
        let_in = self._staying(self._knock()) if len(self.held) < self.most else []
        self.held += let_in
        return len(let_in)

    def _knock(self) -> list[socket.socket]:
        """A few new connections; none where connecting itself is refused."""
        made: list[socket.socket] = []
        with suppress(OSError):  # turned away is what is wanted; the workload's witness says whether it was enough
            while len(made) < min(BATCH, self.most - len(self.held)):
                address = (self.endpoint.host, self.endpoint.port)
                made.append(socket.create_connection(address, timeout=CONNECT_WITHIN))
        return made

    def _staying(self, made: list[socket.socket]) -> list[socket.socket]:
        """Those that the service has neither closed nor told anything: an idle client hears nothing."""
        end = time.monotonic() + SPEAKS_WITHIN
        with selectors.DefaultSelector() as quiet:  # select() itself knows no descriptor above 1023
            for one in made:
                quiet.register(one, selectors.EVENT_READ, one)
            while quiet.get_map() and (left := end - time.monotonic()) > 0:
                for key, _ in quiet.select(left):
                    quiet.unregister(key.fd)
                    key.data.close()
        return [one for one in made if one.fileno() >= 0]

    def leave(self) -> None:
        """Close them all."""
        self._leaving.set()
        if self._knocking:
            self._knocking.join(TAKE_WITHIN)
        while self.held:
            self.held.pop().close()
