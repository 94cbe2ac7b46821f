"""Latency: by the time stamp of each chunk, never serialised; changes act on what is held."""

from __future__ import annotations

import asyncio
import time

import pytest

from harness.proxy.stream import Ending
from tests.unit.proxy.proxy_rig import Bench, dial, proxied, really, settle, toxic, virtually


def test_chunks_on_their_way_do_not_wait_for_each_other() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("latency", latency=100))
        for number in range(20):
            bench.pipe.feed(bytes([number]))
            await asyncio.sleep(0.005)
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert bench.data == bytes(range(20))
    assert bench.times == pytest.approx([0.1 + 0.005 * number for number in range(20)], abs=1e-6)


def test_jitter_stays_in_its_bounds_keeps_order_and_follows_the_seed() -> None:
    async def story(key: str) -> Bench:
        bench = Bench(toxic("latency", latency=100, jitter=40), key=key)
        for number in range(50):
            bench.pipe.feed(bytes([number]))
            await asyncio.sleep(0.5)
        return bench

    first, again, other = (virtually(story(key)) for key in ("a", "a", "b"))
    delays = [at - 0.5 * number for number, at in enumerate(first.times)]
    assert all(0.06 - 1e-6 <= delay <= 0.14 + 1e-6 for delay in delays)
    assert max(delays) - min(delays) > 0.04
    assert first.data == bytes(range(50))
    assert first.times == again.times
    assert first.times != other.times


def test_jitter_larger_than_latency_never_reorders() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("latency", latency=5, jitter=100))
        for number in range(50):
            bench.pipe.feed(bytes([number]))
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)
        return bench

    assert virtually(story()).data == bytes(range(50))


def test_two_latencies_add_up() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("latency", 1, latency=100), toxic("latency", 2, latency=50))
        bench.pipe.feed(b"x")
        await asyncio.sleep(1)
        return bench

    assert virtually(story()).times == [pytest.approx(0.15)]


def test_the_end_follows_the_last_byte_without_a_delay_of_its_own() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("latency", latency=100))
        bench.pipe.feed(b"x")
        await asyncio.sleep(0.05)
        bench.pipe.end()
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert bench.outlet.ending is Ending.END
    assert bench.outlet.ended_at == pytest.approx(0.1)


def test_an_update_judges_what_is_held() -> None:
    async def story() -> list[list[float]]:
        seen = []
        for latency in (50, 0, 400):
            bench = Bench(toxic("latency", latency=10_000))
            start = asyncio.get_running_loop().time()
            bench.pipe.feed(b"x")
            await asyncio.sleep(0.02)
            bench.pipe.apply(toxic("latency", latency=latency))
            await asyncio.sleep(1)
            seen.append([at - start for at in bench.times])
        return seen

    shortened, removed, still_long = virtually(story())
    assert shortened == [pytest.approx(0.05)]
    assert removed == [pytest.approx(0.02)]
    assert still_long == [pytest.approx(0.4)]


def test_removal_delivers_what_is_held_at_once_and_in_order() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("latency", latency=10_000))
        for number in range(5):
            bench.pipe.feed(bytes([number]))
        await asyncio.sleep(0.01)
        bench.pipe.retract(1)
        bench.pipe.feed(b"\x05")
        await settle()
        return bench

    bench = virtually(story())
    assert bench.data == bytes(range(6))
    assert bench.times == [pytest.approx(0.01)] * 6


def test_a_long_wire_holds_much_but_not_everything() -> None:
    async def story() -> tuple[bool, bool]:
        bench = Bench(toxic("latency", latency=10_000))
        for _ in range(100):
            bench.pipe.feed(bytes(64 * 1024))
        early = bench.source.waits()
        for _ in range(30):
            bench.pipe.feed(bytes(64 * 1024))
        return early, bench.source.waits()

    assert virtually(story()) == (False, True)


def test_a_round_trip_over_sockets_takes_the_latency() -> None:
    async def story() -> float:
        async with proxied() as proxy:
            proxy.chain.add({"type": "latency", "attributes": {"latency": 80}})
            reader, writer = await dial(proxy)
            start = time.monotonic()
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            return time.monotonic() - start

    assert 0.08 <= really(story()) < 2
