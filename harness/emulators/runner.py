"""What every emulator's `__main__` needs: Go-style flags, defects, loopback-only binding, serving until SIGTERM.

This file knows no service. State and wire live in the packages beside it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import uvicorn

REMOTE_OPT_IN = "EMULATOR_BIND_ANY"
"""Set to 1 inside a container, where a loopback listener could not be reached at all."""


RECORD = "EMULATOR_RECORD"
"""A directory: with it set, every operation that an emulator is asked for is noted there, in a file of its kind."""


class ConfigError(Exception):
    """A configuration the real program would refuse to start with. The message is in that program's words."""


def refuse(message: str, code: int = 1) -> NoReturn:
    """End the process as the real program does on a bad start: one message on stderr and its exit code."""
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(code)


# -- command line ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GoFlags:
    """Flags written as Go's `flag` package reads them: `-name=value`, `-name value`, `--name`, repeated ones kept."""

    values: Mapping[str, tuple[str, ...]]
    rest: tuple[str, ...]

    def last(self, name: str, default: str = "") -> str:
        """The value that wins when a flag is repeated, or `default`."""
        found = self.values.get(name)
        return found[-1] if found else default

    def all(self, name: str) -> tuple[str, ...]:
        """Every value given for a repeatable flag, in order."""
        return self.values.get(name, ())

    def on(self, name: str) -> bool:
        """Whether a boolean flag is set (`-dev`, `-dev=true`)."""
        return self.last(name, "false").lower() in {"true", "1", "t"}


def parse_go_flags(argv: Sequence[str], booleans: frozenset[str] = frozenset()) -> GoFlags:
    """Read Go-style flags. `booleans` names those that take no value. Raises ConfigError for a missing value."""
    values: dict[str, tuple[str, ...]] = {}
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals:
            value = "true" if name in booleans else next(words, "")
            if not value:
                raise ConfigError(f"flag needs an argument: -{name}")
        values[name] = (*values.get(name, ()), value)
    return GoFlags(values, tuple(rest))


# -- the record of what was asked ------------------------------------------------------------------------------


def note(kind: str, operation: str) -> None:
    """Note when an operation was asked for, as the emulator's `operations` names it. Nothing without `RECORD`."""
    if directory := os.environ.get(RECORD):
        with Path(directory, kind).open("a", encoding="utf-8") as record:
            record.write(f"{time.time():.4f} {operation}\n")


# -- defects --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Defects:
    """The seeded faults that are switched on for this run. `known` maps each name to what it breaks."""

    known: Mapping[str, str]
    active: frozenset[str]

    def __contains__(self, name: str) -> bool:
        if name not in self.known:
            raise KeyError(f"undocumented defect {name!r}")
        return name in self.active


def take_defects(argv: Sequence[str], known: Mapping[str, str]) -> tuple[list[str], Defects]:
    """Split `--defect NAME` and `--defects` off a command line, whatever else the real program's flags are.

    `--defects` prints the list and exits 0; an unknown name exits 2 and says which exist. `EMULATOR_DEFECTS`
    (comma separated) does the same for a process whose arguments are fixed.
    """
    remaining: list[str] = []
    active = {name for name in os.environ.get("EMULATOR_DEFECTS", "").split(",") if name}
    words = iter(argv)
    for word in words:
        if word == "--defects":
            print("\n".join(f"{name:32} {text}" for name, text in sorted(known.items())))
            raise SystemExit(0)
        if word == "--defect":
            active.add(next(words, ""))
        elif word.startswith("--defect="):
            active.add(word.partition("=")[2])
        else:
            remaining.append(word)
    for name in sorted(active - set(known)):
        refuse(f"unknown defect {name!r}; known: {', '.join(sorted(known))}", 2)
    return remaining, Defects(known, frozenset(active))


# -- listening and serving ------------------------------------------------------------------------------------


def split_address(address: str, default_host: str = "127.0.0.1") -> tuple[str, int]:
    """`host:port`, `:port` or `[::1]:port` as a pair. Raises ConfigError when the port is not a number."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise ConfigError(f"address {address!r}: expected host:port")
    return host.strip("[]") or default_host, int(port)


def is_loopback(host: str) -> bool:
    """Whether listening on `host` stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guard_host(host: str) -> str:
    """The host to bind. An emulator listens on loopback only, unless its container opts in."""
    if is_loopback(host) or os.environ.get(REMOTE_OPT_IN) == "1":
        return host
    return "127.0.0.1" if host in {"0.0.0.0", "::", ""} else refuse(f"bind {host}: only loopback is allowed")


def listen(host: str, port: int, backlog: int = 2048) -> socket.socket:
    """A listening TCP socket. Raises OSError as `bind` does (address in use, permission)."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind((guard_host(host), port))
    sock.listen(backlog)
    sock.setblocking(False)
    return sock


AsgiApp = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class HttpListener:
    """One ASGI application on one already listening socket; over TLS with a certificate file and its key's file."""

    app: AsgiApp
    sock: socket.socket
    certificate: str = ""
    key: str = ""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: one handler in `serve` stops all listeners together."""

    def install_signal_handlers(self) -> None:
        return

    def capture_signals(self) -> Any:
        import contextlib

        return contextlib.nullcontext()


def _server(listener: HttpListener, grace_seconds: int) -> _Server:
    config = uvicorn.Config(
        listener.app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=grace_seconds,
        http="httptools",
        ssl_certfile=listener.certificate or None,
        ssl_keyfile=listener.key or None,
        ws="none",
    )
    return _Server(config)


async def serve(
    listeners: Sequence[HttpListener],
    *,
    background: Sequence[Callable[[], Awaitable[None]]] = (),
    on_stop: Callable[[], Awaitable[None]] | None = None,
    grace_seconds: int = 1,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully.

    `background` coroutines run beside the listeners; one that fails ends the process, because an emulator whose
    timers died would answer falsely. `on_stop` runs first at shutdown (flush to the data directory).
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    servers = [_server(listener, grace_seconds) for listener in listeners]
    serving = [
        asyncio.create_task(server.serve(sockets=[listener.sock]))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    helpers = [asyncio.ensure_future(run()) for run in background]
    waiter = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiter, *serving, *helpers], return_when=asyncio.FIRST_COMPLETED)
    failed = [task.exception() for task in done if task is not waiter and not task.cancelled() and task.exception()]
    if on_stop:
        await on_stop()
    for server in servers:
        server.should_exit = True
    for helper in helpers:
        helper.cancel()
    await asyncio.wait(serving, timeout=grace_seconds + 1) if serving else None
    waiter.cancel()
    if failed:
        raise failed[0]  # type: ignore[misc]


def setup_logging(level: int = logging.INFO) -> None:
    """Plain lines with wall-clock time on stderr, flushed at once, as the process runtime tails them."""
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
