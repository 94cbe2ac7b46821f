"""A port of an engine on another machine is refused at once: its containers publish on a loopback that nobody here
reaches. Over ssh that loopback is reached (`ssh.reach`).

Without this a run would wait for services until its time is over, and blame them.
"""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

from harness.errors import RuntimeUnavailable

LOOKUP_WITHIN = 1.5
"""Seconds in which a name has to become addresses; what is left of two belongs to the start of a process."""
HERE = "name it by ssh, as ssh://USER@{host}, or run the harness on that machine"


def refuse_elsewhere(address: str) -> None:
    """Raises RuntimeUnavailable for a port that is not one of this machine. A socket in the file system is taken for
    one of this machine's; so is a port of loopback, whatever forwards it. Engines over ssh are not asked about here."""
    parts = urlsplit(address)
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        return
    found = _addresses(parts.hostname)
    if not found:
        raise RuntimeUnavailable(
            f"docker engine at {address}: no such host as {parts.hostname}", "mend DOCKER_HOST or --engines"
        )
    if not any(map(_is_ours, found)):
        raise RuntimeUnavailable(
            f"docker engine at {address} is on another machine ({found[0]}): services publish on 127.0.0.1 of the "
            "engine's machine only, where nobody here reaches them",
            HERE.format(host=parts.hostname),
        )


def _addresses(host: str) -> list[str]:
    """The addresses of a host, empty when there are none within the time: a resolver may take half a minute."""
    found: list[str] = []

    def look() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(str(answer[4][0]) for answer in answers)

    thread = threading.Thread(target=look, daemon=True, name="lookup")
    thread.start()
    thread.join(LOOKUP_WITHIN)
    return list(dict.fromkeys(found))


def _is_ours(address: str) -> bool:
    """Whether this machine has the address: nothing else can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
    return True
