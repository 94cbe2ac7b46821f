"""`host:port` as text, and the sockets that listen on it. Loopback only, unless the owner allowed more."""

from __future__ import annotations

import ipaddress
import os
import socket

from harness.proxy.errors import ApiError, Problem, bad_body

BACKLOG = 1024
LOOPBACK = "127.0.0.1"
ANYWHERE = "0.0.0.0"


def split(address: str) -> tuple[str, int]:
    """`host:port` or `[ipv6]:port` as a pair; the host may be empty. Raises ApiError for anything else."""
    host, colon, port = address.rpartition(":")
    if not colon:
        raise bad_body(f"address {address!r}: missing port in address, expected host:port")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise bad_body(f"address {address!r}: invalid port {port!r}, expected 0 to 65535")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise bad_body(f"address {address!r}: too many colons, expected host:port or [ipv6]:port")
    return host.strip("[]"), int(port)


def join(host: str, port: int) -> str:
    """The pair as text, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def resolve(address: str, allow_remote: bool) -> tuple[str, int]:
    """The numeric address to listen on. An empty host means loopback, or everywhere where that is allowed.

    Raises ApiError for a malformed address, and for one beyond loopback that was not allowed.
    """
    host, port = split(address) if address else ("", 0)
    host = host or (ANYWHERE if allow_remote else LOOPBACK)
    if host == "localhost":
        host = LOOPBACK  # as Go does: IPv4 first, and one socket only
    if not allow_remote and not is_loopback(host):
        raise bad_body(f"listen {host!r}: only loopback, unless the server runs with --allow-remote")
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        raise bad_body(f"listen {host!r}: expected an IP address or localhost") from None


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on a numeric address. Raises ApiError in the system's words when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, small answers take 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Also what lets a service listen on a port that its owner holds bound, never listening, for the whole run.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        words = os.strerror(error.errno or 0).lower()
        raise ApiError(Problem.CANNOT_LISTEN, f"{join(host, port)}: bind: {words}") from error
    return sock


def bound(sock: socket.socket) -> str:
    """Where the socket really listens, as text."""
    name = sock.getsockname()
    return join(name[0], name[1])
