"""Bytes through links over real sockets: back pressure, many connections at once, toxics that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket

import pytest

from harness.proxy.proxy import Proxy
from harness.proxy.stream import Stream
from tests.unit.proxy.proxy_rig import dial, proxied, really, until


@pytest.mark.parametrize("toxic", [None, {"type": "latency"}, {"type": "slow_close", "attributes": {"delay": 1}}])
def test_a_slow_reader_makes_the_sender_wait_and_gets_everything(toxic: dict[str, object] | None) -> None:
    total = 64 * 1024 * 1024

    async def firehose(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for _step in range(total // 65536):
                writer.write(bytes(65536))
                await writer.drain()
            writer.close()

    async def story() -> None:
        async with proxied(firehose) as proxy:
            if toxic:
                proxy.chain.add(toxic)
            host, _, port = proxy.listen.rpartition(":")
            loop = asyncio.get_running_loop()
            with socket.create_connection((host, int(port))) as sock:
                sock.setblocking(False)
                down = proxy.traffic[Stream.DOWNSTREAM]
                seen = [-1]

                def stalled() -> bool:
                    seen.append(down.received)
                    return len(seen) > 30 and len(set(seen[-30:])) == 1 and seen[-1] > 0

                await until(stalled, "nothing more is taken from the sender")
                assert down.received < 24 * 1024 * 1024
                got = 0
                while data := await loop.sock_recv(sock, 1 << 20):
                    got += len(data)
                assert got == total == down.sent

    really(story())


def test_a_thousand_connections_at_once_through_a_toxic() -> None:
    async def ask(proxy: Proxy, number: int) -> bool:
        reader, writer = await dial(proxy)
        question = number.to_bytes(4, "big") * 8
        writer.write(question)
        answer = await reader.readexactly(32)
        hold.append(writer)
        return answer == question

    hold: list[asyncio.StreamWriter] = []

    async def story() -> None:
        async with proxied() as proxy:
            proxy.chain.add({"type": "latency", "attributes": {"latency": 20, "jitter": 10}})
            answers = await asyncio.gather(*(ask(proxy, number) for number in range(1000)))
            assert all(answers)
            assert proxy.connections == 1000
            proxy.chain.remove("latency_downstream")
            await proxy.stop()
            assert proxy.connections == 0
            for writer in hold:
                writer.close()

    really(story())


KEEPING = (
    {"type": "latency", "attributes": {"latency": 30, "jitter": 20}},
    {"type": "bandwidth", "attributes": {"rate": 50}},
    {"type": "bandwidth", "attributes": {"rate": 0}},
    {"type": "slicer", "attributes": {"average_size": 200, "size_variation": 50, "delay": 100}},
    {"type": "slow_close", "attributes": {"delay": 60_000}},
    {"type": "reset_peer", "attributes": {"timeout": 60_000}},
)


async def _trouble(proxy: Proxy, dice: random.Random) -> None:
    for number in range(60):
        stream = dice.choice(["upstream", "downstream"])
        proxy.chain.add({**dice.choice(KEEPING), "name": str(number), "stream": stream})
        await asyncio.sleep(dice.choice([0, 0.002, 0.01]))
        if len(proxy.chain.entries) > 3:
            proxy.chain.remove(dice.choice(proxy.chain.entries).name)
    proxy.chain.clear()


async def _talk(writer: asyncio.StreamWriter, dice: random.Random, troubled: asyncio.Task[None]) -> bytes:
    sent = bytearray()
    while not troubled.done() or len(sent) < 2_000_000:
        data = dice.randbytes(dice.randrange(1, 20_000))
        sent += data
        writer.write(data)
        await asyncio.sleep(0.001)
    await troubled
    writer.write_eof()
    return bytes(sent)


def test_toxics_come_and_go_while_a_stream_flows_through_sockets() -> None:
    """The seed decides which; each arrives in the middle of held bytes."""

    async def story() -> None:
        dice = random.Random(4)
        async with proxied() as proxy:
            reader, writer = await dial(proxy)
            reading = asyncio.create_task(reader.read())
            sent = await _talk(writer, dice, asyncio.create_task(_trouble(proxy, dice)))
            assert await asyncio.wait_for(reading, 5) == sent
            await until(lambda: proxy.connections == 0, "the link is over")
            writer.close()

    really(story())
