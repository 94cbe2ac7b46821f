"""All connections that a service allows are taken: new clients are turned away, old ones go on."""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.model import Endpoint
from harness.ports import Handle

CONNECT_WITHIN = 2.0
"""Seconds; a service whose backlog is full does not answer at all."""
TAKE_WITHIN = 5.0
SPEAKS_WITHIN = 0.05
"""Seconds in which a service has turned away whom it does not want."""
BATCH = 16
FULL = 3


@dataclass(frozen=True)
class ConnectionExhaustion(Fault):
    """Opens idle connections to the first address: `most` of them, more than the service's own limit."""

    name: ClassVar[str] = "connection_exhaustion"
    needs: ClassVar[tuple[type, ...]] = (Handle,)
    most: int = 256

    def on(self, target: Handle) -> Injection:
        """Take them; give them back."""
        crowd = Crowd(target.endpoint(), self.most)
        return Injection(
            f"{self.most} idle connections to {target.name}", crowd.take, crowd.leave, lambda: answering(target)
        )


@dataclass
class Crowd:
    """Idle connections to one address."""

    endpoint: Endpoint
    most: int
    held: list[socket.socket] = field(default_factory=list)

    def take(self) -> None:
        """Connect until there are enough, or the service has let nobody in `FULL` times in a row.

        Once is not enough: a client of others may have left just after we were turned away, and its place is free.
        """
        refusals, end = 0, time.monotonic() + TAKE_WITHIN
        while len(self.held) < self.most and refusals < FULL and time.monotonic() < end:
            let_in = self._staying(self._knock())
            self.held += let_in
            refusals = 0 if let_in else refusals + 1

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
        spoken: set[socket.socket] = set()
        while len(spoken) < len(made) and (left := end - time.monotonic()) > 0:
            spoken.update(select.select([one for one in made if one not in spoken], [], [], left)[0])
        for one in spoken:
            one.close()
        return [one for one in made if one not in spoken]

    def leave(self) -> None:
        """Close them all."""
        while self.held:
            self.held.pop().close()
