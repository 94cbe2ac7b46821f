"""Port leases: addresses that stay the same through kill, restart and reconnect, and that nobody else gets.

A lease is a bound, never listening socket with SO_REUSEADDR on 127.0.0.1. The kernel gives its number to nobody who
asks for any free port, and refuses it to a plain bind; a server that sets SO_REUSEADDR itself (all servers do, for
their own restarts) may bind and listen beside it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.errors import PortError
from harness.model import Endpoint, Port

HOST = "127.0.0.1"
TRIES = 32


@dataclass
class Leases:
    """All leases of one stack. Holds the sockets until `release`."""

    held: list[socket.socket] = field(default_factory=list)

    def lease(self, port: Port, host: str = HOST) -> Endpoint:
        """A fresh address for a port; `host` may be another address of this machine. Raises PortError."""
        for _ in range(TRIES):
            sock = _bound(host)
            number = sock.getsockname()[1]
            if port.scheme != "udp" or _udp_is_free(number):
                self.held.append(sock)
                return Endpoint(port.name, host, number, port.scheme)
            sock.close()
        raise PortError(f"no port free for both TCP and UDP after {TRIES} tries", "see what listens with `ss -lnu`")

    def lease_all(self, ports: Iterable[Port]) -> dict[str, Endpoint]:
        """Addresses by port name."""
        return {port.name: self.lease(port) for port in ports}

    def release(self) -> None:
        """Give every number back. Harmless when done before."""
        while self.held:
            self.held.pop().close()


def _bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, 0))
    except OSError as error:
        sock.close()
        reason = "no free port" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise PortError(f"{host}: {reason}", "see net.ipv4.ip_local_port_range and `ss -tan`") from error
    return sock


def _udp_is_free(number: int) -> bool:
    """A UDP number cannot be held: a second socket with SO_REUSEADDR would take the service's datagrams away."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.bind((HOST, number))
        except OSError:
            return False
    return True
