"""Does something answer at an address, in its protocol's own first words? Plain sockets, no client library.

Used where the question must share nothing with what is judged: after the undo of a fault, and as the generic workload
of `harness chaos`.
"""

from __future__ import annotations

import socket

from harness.model import Endpoint
from harness.probes.poll import NotYet

WITHIN = 1.0
"""Seconds to connect, and again to answer. A paused process accepts connections and answers none."""

SPOKEN = {
    "redis": (b"PING\r\n", (b"+PONG", b"-NOAUTH", b"-MASTERDOWN", b"-DENIED")),
    "http": (b"GET / HTTP/1.0\r\n\r\n", (b"HTTP/",)),
}
"""By scheme: what is said, and how an answer may begin. Other protocols are only connected to."""


def answers(endpoint: Endpoint, within: float = WITHIN) -> str:
    """The first line of the answer. Raises NotYet when there is none in time or it is not of the protocol."""
    question, beginnings = SPOKEN.get(endpoint.scheme, (b"", ()))
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=within) as connection:
            if not question:
                return "connected"
            connection.sendall(question)
            line = connection.recv(256).partition(b"\r\n")[0]
    except OSError as error:
        raise NotYet(f"{endpoint.address}: {error.strerror or error}") from error
    if not line.startswith(beginnings):
        raise NotYet(f"{endpoint.address}: answered {line[:60]!r}" if line else f"{endpoint.address}: closed silently")
    return line.decode(errors="replace")
