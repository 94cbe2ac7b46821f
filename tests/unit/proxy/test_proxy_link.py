"""Links over real sockets: half-close, draws, directions, every way to begin and to end."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from dataclasses import dataclass
from typing import ClassVar

import pytest

from harness.proxy.endpoint import Traffic
from harness.proxy.link import Link
from harness.proxy.proxy import Proxy, Rules
from harness.proxy.stream import Ending, Stream, Stub
from harness.proxy.toxics import TOXICS
from tests.unit.proxy.proxy_rig import dial, free_port, proxied, really, serving, until


def test_a_client_that_ends_its_half_still_gets_the_answer() -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()
        writer.write(b"%d bytes" % len(question))
        writer.close()

    async def story() -> None:
        async with proxied(answer_at_the_end) as proxy:
            reader, writer = await dial(proxy)
            writer.write(bytes(1000))
            writer.write_eof()
            assert await reader.read() == b"1000 bytes"
            await until(lambda: proxy.connections == 0, "the link is over")
            writer.close()

    really(story())


def test_small_packets_are_never_held_back_for_larger_ones() -> None:
    """With Nagle's algorithm on, the second slice of each answer waits 40 ms for the first one's acknowledgement."""

    async def story() -> float:
        async with proxied() as proxy:
            proxy.chain.add({"type": "slicer", "attributes": {"average_size": 1}})
            reader, writer = await dial(proxy)
            start = time.monotonic()
            for _ in range(20):
                writer.write(b"abcd")
                assert await reader.readexactly(4) == b"abcd"
            writer.close()
            return time.monotonic() - start

    assert really(story()) < 0.3


def test_a_client_that_goes_away_ends_the_upstream_connection() -> None:
    gone = asyncio.Event()

    async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        gone.set()
        writer.close()

    async def story() -> None:
        async with proxied(watch) as proxy:
            _, writer = await dial(proxy)
            await until(lambda: proxy.connections == 1, "the link is there")
            writer.close()
            await asyncio.wait_for(gone.wait(), 1)
            await until(lambda: proxy.connections == 0, "the link is over")

    really(story())


def test_a_reset_by_one_side_ends_the_other() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            _, writer = await dial(proxy)
            writer.write(b"x")
            await until(lambda: proxy.traffic[Stream.DOWNSTREAM].sent == 1, "the echo came")
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            await until(lambda: proxy.connections == 0, "the link is over")

    really(story())


def test_a_link_that_is_over_leaves_no_task_behind() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            proxy.chain.add({"type": "bandwidth", "attributes": {"rate": 0}})
            proxy.chain.add({"type": "slow_close", "attributes": {"delay": 60_000}})
            _, writer = await dial(proxy)
            writer.write(bytes(100_000))
            await until(lambda: proxy.traffic[Stream.DOWNSTREAM].received > 0, "the stall holds something")
            assert any("Stage" in repr(task) for task in asyncio.all_tasks())
            writer.transport.abort()
            await proxy.stop()
            await until(lambda: not any("Stage" in repr(task) for task in asyncio.all_tasks()), "all tasks ended")

    really(story())


@pytest.mark.parametrize("host", ["127.0.0.1", "h" * 300])
def test_a_dead_upstream_is_accept_then_end_of_stream(host: str) -> None:
    async def story() -> None:
        proxy = Proxy("p", "127.0.0.1:0", f"{host}:{free_port()}", Rules(1))
        await proxy.start()
        reader, writer = await dial(proxy)
        assert await asyncio.wait_for(reader.read(), 1) == b""
        await until(lambda: proxy.connections == 0, "the link is over")
        writer.close()
        await proxy.stop()

    really(story())


def test_what_the_client_said_before_the_upstream_answered_the_dial_arrives() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            host, _, port = proxy.listen.rpartition(":")
            with socket.create_connection((host, int(port))) as sock:
                sock.sendall(b"early")
                sock.shutdown(socket.SHUT_WR)
                sock.setblocking(False)
                loop = asyncio.get_running_loop()
                assert await asyncio.wait_for(loop.sock_recv(sock, 100), 1) == b"early"

    really(story())


@dataclass(frozen=True)
class Broken:
    """A toxic with a defect."""

    NAME: ClassVar[str] = "broken"

    async def pipe(self, stub: Stub) -> None:
        await stub.head()
        raise ZeroDivisionError("a defect of the toxic")


def test_a_toxic_that_breaks_ends_its_connection_and_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("harness.proxy.entry.TOXICS", (*TOXICS, Broken))

    async def story() -> None:
        async with proxied() as proxy:
            proxy.chain.add({"type": "broken"})
            reader, writer = await dial(proxy)
            writer.write(b"x")
            assert await asyncio.wait_for(reader.read(), 1) == b""
            await until(lambda: proxy.connections == 0, "the link is over")
            writer.close()

    really(story())
    assert "a defect of the toxic" in caplog.text


class GoneTransport(asyncio.Transport):
    """A transport whose peer has reset the connection, unnoticed so far."""

    aborted = False

    def write_eof(self) -> None:
        raise OSError(107, "Transport endpoint is not connected")

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        return

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return


def test_saying_goodbye_to_a_peer_that_is_gone_closes() -> None:
    async def story() -> bool:
        link = Link({stream: Traffic() for stream in Stream}, "key", Proxy("p", "", "127.0.0.1:1", Rules(1)))
        transport = GoneTransport()
        link.upstream.connection_made(transport)
        link.upstream.finish(Ending.END)
        return transport.aborted

    assert really(story())


def test_toxicity_divides_connections_the_same_way_for_the_same_seed() -> None:
    async def struck(seed: int) -> list[bool]:
        found = []
        async with proxied(seed=seed) as proxy:
            proxy.chain.add({"type": "limit_data", "toxicity": 0.5, "attributes": {"bytes": 0}})
            for _ in range(30):
                reader, writer = await dial(proxy)
                writer.write(b"x")
                found.append(await asyncio.wait_for(reader.read(1), 1) == b"")
                writer.close()
        return found

    first = really(struck(5))
    assert 5 < sum(first) < 25
    assert really(struck(5)) == first
    assert really(struck(6)) != first


def test_the_upstream_direction_is_its_own() -> None:
    heard = bytearray()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"greeting")
        while data := await reader.read(100):
            heard.extend(data)
        writer.close()

    async def story() -> None:
        async with proxied(hear) as proxy:
            proxy.chain.add({"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 0}})
            reader, writer = await dial(proxy)
            writer.write(b"stalled")
            assert await asyncio.wait_for(reader.readexactly(8), 1) == b"greeting"
            assert heard == b""
            proxy.chain.remove("bandwidth_upstream")
            await until(lambda: heard == b"stalled", "the held bytes arrived")
            writer.close()

    really(story())


def test_a_slow_dial_delays_only_its_own_client() -> None:
    """Upstream's accept loop dials one client after the other; here a second client is not held up by the first."""

    async def story() -> None:
        async with serving() as upstream:
            with socket.socket(socket.AF_INET) as full:  # a listener whose backlog is full swallows further handshakes
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                deaf = f"127.0.0.1:{full.getsockname()[1]}"
                fillers = [socket.socket() for _ in range(4)]
                for filler in fillers:
                    filler.setblocking(False)
                    filler.connect_ex(full.getsockname())
                proxy = Proxy("p", "127.0.0.1:0", deaf, Rules(1))
                await proxy.start()
                _, slow = await dial(proxy)
                await until(lambda: proxy.connections == 1, "the first client is being dialled for")
                proxy.upstream = upstream
                reader, writer = await dial(proxy)
                writer.write(b"hi")
                assert await asyncio.wait_for(reader.readexactly(2), 1) == b"hi"
                assert proxy.connections == 2
                await proxy.stop()
                assert proxy.connections == 0
                slow.close()
                writer.close()
                for filler in fillers:
                    filler.close()

    really(story())
