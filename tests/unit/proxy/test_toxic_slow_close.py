"""Slow close: only the end of the stream is late."""

from __future__ import annotations

import asyncio
import time

import pytest

from harness.proxy.stream import Ending
from tests.unit.proxy.proxy_rig import Bench, dial, proxied, really, settle, toxic, virtually


async def _fed(delay: int) -> Bench:
    bench = Bench(toxic("slow_close", delay=delay))
    bench.pipe.feed(b"data")
    bench.pipe.end()
    await asyncio.sleep(0.1)
    return bench


def test_data_comes_at_once_and_the_end_late() -> None:
    async def story() -> Bench:
        bench = await _fed(500)
        assert bench.outlet.ending is None
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert bench.outlet.pieces == [(0.0, b"data")]
    assert bench.outlet.ending is Ending.END
    assert bench.outlet.ended_at == pytest.approx(0.5)


def test_removal_ends_the_stream_at_once() -> None:
    async def story() -> Bench:
        bench = await _fed(60_000)
        bench.pipe.retract(1)
        await settle()
        return bench

    assert virtually(story()).outlet.ended_at == pytest.approx(0.1)


def test_an_update_counts_from_the_end_of_the_stream() -> None:
    async def story() -> Bench:
        bench = await _fed(60_000)
        bench.pipe.apply(toxic("slow_close", delay=300))
        await asyncio.sleep(1)
        return bench

    assert virtually(story()).outlet.ended_at == pytest.approx(0.3)


def test_over_sockets_the_client_sees_the_end_late() -> None:
    async def goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()

    async def story() -> float:
        async with proxied(goodbye) as proxy:
            proxy.chain.add({"type": "slow_close", "attributes": {"delay": 150}})
            reader, writer = await dial(proxy)
            start = time.monotonic()
            assert await reader.readexactly(3) == b"bye"
            assert await reader.read() == b""
            writer.close()
            return time.monotonic() - start

    assert 0.14 <= really(story()) < 2
