"""Timeout: a black hole, its silence, and why its removal closes."""

from __future__ import annotations

import asyncio

import pytest

from harness.proxy.stream import Ending
from tests.unit.proxy.proxy_rig import Bench, dial, proxied, really, toxic, until, virtually


def test_everything_is_dropped_and_silence_closes() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("timeout", timeout=200))
        for _ in range(5):
            await asyncio.sleep(0.15)
            bench.pipe.feed(b"lost")
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert bench.data == b""
    assert bench.outlet.ending is Ending.CLOSE
    assert bench.outlet.ended_at == pytest.approx(0.15 * 5 + 0.2)


def test_nought_never_closes() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("timeout", timeout=0))
        for _ in range(5):
            bench.pipe.feed(b"lost")
            await asyncio.sleep(3600)
        return bench

    bench = virtually(story())
    assert bench.data == b""
    assert bench.outlet.ending is None


def test_the_source_is_never_made_to_wait() -> None:
    async def story() -> bool:
        bench = Bench(toxic("timeout", timeout=0))
        bench.pipe.feed(bytes(1_000_000))
        await asyncio.sleep(0.001)
        return bench.source.waits()

    assert not virtually(story())


def test_the_end_of_the_stream_passes() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("timeout", timeout=0))
        bench.pipe.feed(b"lost")
        bench.pipe.end()
        await asyncio.sleep(0.001)
        return bench

    bench = virtually(story())
    assert bench.data == b""
    assert bench.outlet.ending is Ending.END


def test_an_update_starts_the_silence_anew() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("timeout", timeout=0))
        await asyncio.sleep(10)
        bench.pipe.apply(toxic("timeout", timeout=100))
        await asyncio.sleep(1)
        return bench

    assert virtually(story()).outlet.ended_at == pytest.approx(10.1)


def test_removal_closes_because_the_stream_has_a_hole() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("timeout", timeout=0))
        bench.pipe.feed(b"lost")
        await asyncio.sleep(0.001)
        bench.pipe.retract(1)
        return bench

    bench = virtually(story())
    assert bench.data == b""
    assert bench.outlet.ending is Ending.CLOSE


def test_removal_lets_earlier_toxics_finish_what_they_hold_behind_it_nowhere() -> None:
    """What latency still holds before the hole cannot be delivered after it: the connection is closed."""

    async def story() -> Bench:
        bench = Bench(toxic("latency", 1, latency=50), toxic("timeout", 2, timeout=0))
        bench.pipe.feed(b"held by latency")
        bench.pipe.retract(2)
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert bench.data == b""
    assert bench.outlet.ending is Ending.CLOSE


def test_over_sockets_the_reply_never_comes_and_removal_closes_the_connection() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            proxy.chain.add({"type": "timeout", "attributes": {"timeout": 0}})
            reader, writer = await dial(proxy)
            writer.write(b"hello")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
            proxy.chain.remove("timeout_downstream")
            assert await asyncio.wait_for(reader.read(), 1) == b""
            await until(lambda: proxy.connections == 0, "the link is over")
            writer.close()

    really(story())


def test_over_sockets_silence_closes() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            proxy.chain.add({"type": "timeout", "attributes": {"timeout": 50}})
            reader, writer = await dial(proxy)
            assert await asyncio.wait_for(reader.read(), 1) == b""
            writer.close()

    really(story())
