"""Bandwidth: the rate, the trickle, the stall that heals."""

from __future__ import annotations

import asyncio
import time

import pytest

from harness.proxy.stream import Ending
from tests.unit.proxy.proxy_rig import Bench, dial, proxied, really, settle, toxic, virtually


def test_the_rate_is_kilobytes_a_second_in_steps_of_a_tenth() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("bandwidth", rate=100))
        bench.pipe.feed(bytes(50_000))
        bench.pipe.end()
        await asyncio.sleep(5)
        return bench

    bench = virtually(story())
    assert [len(piece) for _, piece in bench.outlet.pieces] == [10_000] * 5
    assert bench.times == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5], abs=1e-6)
    assert bench.outlet.ended_at == pytest.approx(0.5)


def test_small_chunks_add_up_to_the_same_rate() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("bandwidth", rate=10))
        for _ in range(100):
            bench.pipe.feed(bytes(100))
        await asyncio.sleep(5)
        return bench

    bench = virtually(story())
    assert bench.times[-1] == pytest.approx(1.0, abs=1e-6)
    assert len(bench.data) == 10_000


def test_an_idle_wire_saves_nothing_up() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("bandwidth", rate=10))
        await asyncio.sleep(30)
        bench.pipe.feed(bytes(5000))
        await asyncio.sleep(5)
        return bench

    assert virtually(story()).times[-1] == pytest.approx(30.5)


def test_backlog_behind_a_slow_reader_is_not_caught_up_in_one_burst() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("bandwidth", rate=10))
        bench.block(True)
        bench.pipe.feed(bytes(50_000))
        await asyncio.sleep(60)
        bench.block(False)
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert 10_000 <= len(bench.data) <= 13_000


def test_rate_nought_stalls_and_loses_nothing_when_it_is_raised_or_removed() -> None:
    async def story(heal: bool) -> Bench:
        bench = Bench(toxic("bandwidth", rate=0))
        bench.pipe.feed(b"held")
        bench.pipe.end()
        await asyncio.sleep(3600)
        assert bench.data == b""
        assert bench.outlet.ending is None
        if heal:
            bench.pipe.retract(1)
        else:
            bench.pipe.apply(toxic("bandwidth", rate=1))
        await settle()
        await asyncio.sleep(0.01)
        return bench

    for heal in (True, False):
        bench = virtually(story(heal))
        assert bench.data == b"held"
        assert bench.outlet.ending is Ending.END


def test_a_stall_makes_the_source_wait() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("bandwidth", rate=0))
        bench.pipe.feed(bytes(100_000))
        return bench

    assert virtually(story()).source.waits()


def test_over_sockets_the_transfer_takes_its_time_and_removal_lets_the_rest_through() -> None:
    async def story() -> tuple[float, float]:
        async with proxied() as proxy:
            proxy.chain.add({"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 100}})
            reader, writer = await dial(proxy)
            start = time.monotonic()
            writer.write(bytes(1_000_000))
            await reader.readexactly(20_000)
            limited = time.monotonic() - start
            proxy.chain.remove("bandwidth_upstream")
            await reader.readexactly(980_000)
            writer.close()
            return limited, time.monotonic() - start

    limited, whole = really(story())
    assert limited >= 0.19
    assert whole < 3  # at the limited rate it would be ten
