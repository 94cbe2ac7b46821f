"""What the proxy's tests share: a clock that jumps instead of waiting, a pipe without sockets, an echo server."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from harness.proxy.address import bound
from harness.proxy.endpoint import Traffic
from harness.proxy.entry import Entry, read_entry
from harness.proxy.pipe import Pipe
from harness.proxy.proxy import Proxy, Rules
from harness.proxy.server import ProxyServer
from harness.proxy.stream import Bytes, Ending

T = TypeVar("T")
PATIENCE = 5.0
"""Seconds that a poll on a fact may take before the test fails."""


# -- a clock that jumps ---------------------------------------------------------------------------------------


class _Jump(selectors.DefaultSelector):
    """Never waits: moves the clock to the next timer instead. Nothing left to happen is an error, not a hang."""

    clock = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("nothing is left to happen, and the test still waits")
        self.clock += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when everybody waits for it."""

    def __init__(self) -> None:
        self.jump = _Jump()
        super().__init__(self.jump)

    def time(self) -> float:
        return self.jump.clock


def virtually(story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the jumping clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)


def really(story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the real clock, with a bound."""
    return asyncio.run(asyncio.wait_for(story, 4 * PATIENCE))


# -- a pipe without sockets -----------------------------------------------------------------------------------


class FakeSource:
    """Notes whether it may be read."""

    def __init__(self) -> None:
        self._paused = False

    def waits(self) -> bool:
        return self._paused

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False


class FakeOutlet:
    """Notes what comes out, and when."""

    def __init__(self) -> None:
        self.pieces: list[tuple[float, bytes]] = []
        self.ending: Ending | None = None
        self.ended_at = -1.0
        self.blocked = False

    def full(self) -> bool:
        return self.blocked

    def put(self, data: Bytes) -> None:
        if self.ending is None:
            self.pieces.append((asyncio.get_running_loop().time(), bytes(data)))

    def finish(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self.ended_at = asyncio.get_running_loop().time()


class Bench:
    """A pipe between a fake source and a fake outlet. `entries` are (type, attributes) or built by `toxic`."""

    def __init__(self, *entries: Entry, key: str = "seed/proxy/1/downstream") -> None:
        self.source = FakeSource()
        self.outlet = FakeOutlet()
        self.traffic = Traffic()
        self.was_reset_at: float | None = None
        self.failures: list[Exception] = []
        self.pipe = Pipe(self.source, self.outlet, self.traffic, self, key)
        for entry in entries:
            self.pipe.apply(entry)

    def reset(self) -> None:
        self.was_reset_at = asyncio.get_running_loop().time()

    def fail(self, error: Exception) -> None:
        self.failures.append(error)

    @property
    def data(self) -> bytes:
        return b"".join(piece for _, piece in self.outlet.pieces)

    @property
    def times(self) -> list[float]:
        return [round(at, 6) for at, _ in self.outlet.pieces]

    def block(self, blocked: bool) -> None:
        self.outlet.blocked = blocked
        self.pipe.poke()


def toxic(kind: str, serial: int = 1, toxicity: float = 1.0, **attributes: int) -> Entry:
    """A toxic as the API would read it."""
    return read_entry({"type": kind, "toxicity": toxicity, "attributes": attributes}, serial)


async def settle() -> None:
    """Let everything that is ready happen, without time passing on the jumping clock."""
    for _ in range(20):
        await asyncio.sleep(0)


# -- real sockets ---------------------------------------------------------------------------------------------


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler = _echo) -> AsyncIterator[str]:
    """A TCP server on loopback, an echo unless told otherwise. Yields its address."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0, backlog=1024)
    try:
        yield bound(server.sockets[0])
    finally:
        server.close()


@contextlib.asynccontextmanager
async def proxied(handler: Handler = _echo, seed: int = 1) -> AsyncIterator[Proxy]:
    """A started proxy before a server."""
    async with serving(handler) as upstream:
        proxy = Proxy("p", "127.0.0.1:0", upstream, Rules(seed))
        await proxy.start()
        try:
            yield proxy
        finally:
            await proxy.stop()


async def dial(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client's connection through the proxy."""
    host, _, port = proxy.listen.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def until(fact: Callable[[], bool], what: str) -> None:
    """Poll on a fact with a bound."""
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline, f"did not happen in {PATIENCE} s: {what}"
        await asyncio.sleep(0.002)


def free_port() -> int:
    """A loopback port on which nobody listens right now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


# -- the API, beside blocking tests ---------------------------------------------------------------------------


class Running:
    """A proxy server and an echo server on a loop of their own thread."""

    def __init__(self, seed: int = 1) -> None:
        self.url = ""
        self.echo = ""
        self._seed = seed
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = ProxyServer(port=0, seed=self._seed)
        async with serving() as self.echo:
            self.url = await server.start()
            self._ready.set()
            await self._stop.wait()
            await server.stop()

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._ready.wait(PATIENCE), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the server did not stop"


@contextlib.contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    """A blocking client's connection, with a bound on every wait."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as sock:
        yield sock


def said_back(address: str, data: bytes = b"ping") -> bytes:
    """What the echo behind `address` answers; shorter than `data` if the connection ended."""
    with connected(address) as sock:
        sock.sendall(data)
        found = b""
        while len(found) < len(data) and (more := sock.recv(65536)):
            found += more
        return found
