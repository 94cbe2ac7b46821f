"""All connections that a service allows are taken: new clients are turned away, old ones go on."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.model import Endpoint
from harness.ports import Handle

CONNECT_WITHIN = 2.0
"""Seconds; a service whose backlog is full does not answer at all."""


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
        """Connect until there are enough or the service does not let in any more."""
        with suppress(OSError):  # turned away is what is wanted; the workload's witness says whether it was enough
            while len(self.held) < self.most:
                address = (self.endpoint.host, self.endpoint.port)
                self.held.append(socket.create_connection(address, timeout=CONNECT_WITHIN))

    def leave(self) -> None:
        """Close them all."""
        while self.held:
            self.held.pop().close()
