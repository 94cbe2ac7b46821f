"""Limit data: so many bytes per connection, then closed."""

from __future__ import annotations

import asyncio

import pytest

from harness.proxy.stream import Ending
from tests.unit.proxy.proxy_rig import Bench, dial, proxied, really, settle, toxic, until, virtually


@pytest.mark.parametrize("chunks", [[100], [40, 60], [99, 1], [150], [40, 100, 5]])
def test_exactly_the_limit_arrives_then_it_closes(chunks: list[int]) -> None:
    async def story() -> Bench:
        bench = Bench(toxic("limit_data", bytes=100))
        for size in chunks:
            bench.pipe.feed(bytes(size))
            await settle()
        return bench

    bench = virtually(story())
    assert len(bench.data) == 100
    assert bench.outlet.ending is Ending.CLOSE


def test_below_the_limit_nothing_is_closed() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("limit_data", bytes=100))
        bench.pipe.feed(bytes(99))
        await settle()
        return bench

    bench = virtually(story())
    assert len(bench.data) == 99
    assert bench.outlet.ending is None


def test_nought_closes_at_the_first_byte_and_lets_none_through() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("limit_data", bytes=0))
        await settle()
        assert bench.outlet.ending is None
        bench.pipe.feed(b"x")
        await settle()
        return bench

    bench = virtually(story())
    assert bench.data == b""
    assert bench.outlet.ending is Ending.CLOSE


def test_the_count_survives_updates_and_other_toxics() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("limit_data", bytes=100))
        bench.pipe.feed(bytes(60))
        await settle()
        bench.pipe.apply(toxic("latency", 2, latency=0))
        bench.pipe.apply(toxic("limit_data", bytes=80))
        bench.pipe.feed(bytes(60))
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert len(bench.data) == 80
    assert bench.outlet.ending is Ending.CLOSE


def test_what_was_forwarded_arrives_although_a_later_toxic_still_holds_it() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("limit_data", 1, bytes=10), toxic("latency", 2, latency=500))
        bench.pipe.feed(bytes(20))
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert bench.times == [0.5]
    assert bench.data == bytes(10)
    assert bench.outlet.ending is Ending.CLOSE
    assert bench.outlet.ended_at == pytest.approx(0.5)


def test_over_sockets_each_connection_has_its_own_count() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            proxy.chain.add({"type": "limit_data", "attributes": {"bytes": 5}})
            for _ in range(2):
                reader, writer = await dial(proxy)
                writer.write(b"123456789")
                assert await asyncio.wait_for(reader.read(), 1) == b"12345"
                writer.close()
            await until(lambda: proxy.connections == 0, "both links are over")

    really(story())
