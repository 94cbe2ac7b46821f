"""A pipe's promises without sockets: order, nothing lost, waiting only where it must, draws that stay."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

import pytest

from harness.proxy.entry import Entry
from harness.proxy.stream import Ending, Stream, Stub
from tests.unit.proxy.proxy_rig import Bench, settle, toxic, virtually


def test_without_toxics_bytes_pass_in_the_same_call() -> None:
    async def story() -> None:
        bench = Bench()
        bench.pipe.feed(b"now")
        assert bench.data == b"now"
        bench.pipe.end()
        assert bench.outlet.ending is Ending.END
        assert bench.traffic.received == 3

    virtually(story())


def test_toxics_chain_in_the_order_they_were_added() -> None:
    """A limit closes at its last byte: before a slow close it is held up by it, behind one it is not."""

    async def moments(*kinds: Entry) -> list[float]:
        bench = Bench(*kinds)
        bench.pipe.feed(bytes(10))
        await asyncio.sleep(10)
        return [*bench.times, bench.outlet.ended_at]

    late_limit = virtually(moments(toxic("slow_close", 1, delay=500), toxic("limit_data", 2, bytes=10)))
    late_close = virtually(moments(toxic("limit_data", 1, bytes=10), toxic("slow_close", 2, delay=500)))
    assert late_limit == [0.0, 0.0]
    assert late_close == [0.0, 0.5]


def test_an_update_that_makes_a_toxic_strike_puts_it_at_its_own_place() -> None:
    async def story() -> list[float]:
        bench = Bench(toxic("slow_close", 1, toxicity=0.0, delay=500), toxic("limit_data", 2, bytes=10))
        bench.pipe.apply(toxic("slow_close", 1, delay=500))
        bench.pipe.feed(bytes(10))
        await asyncio.sleep(10)
        return [*bench.times, bench.outlet.ended_at]

    assert virtually(story()) == [0.0, 0.0]


def test_a_toxic_added_behind_one_that_has_ended_wedges_nothing() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("limit_data", 1, bytes=4), toxic("latency", 3, latency=100))
        bench.pipe.feed(b"abcdef")
        await settle()
        bench.pipe.apply(toxic("slow_close", 2, delay=60_000))
        bench.pipe.retract(1)
        bench.pipe.feed(b"late")
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert bench.data == b"abcd"
    assert bench.outlet.ending is Ending.CLOSE


def test_removing_from_the_middle_keeps_the_order() -> None:
    async def story() -> Bench:
        slow = [toxic("latency", serial, latency=60_000) for serial in (1, 2, 3)]
        bench = Bench(*slow[:1])
        bench.pipe.feed(b"c")
        bench.pipe.apply(slow[1])
        bench.pipe.retract(1)
        bench.pipe.feed(b"d")
        bench.pipe.apply(slow[2])
        bench.pipe.retract(2)
        bench.pipe.feed(b"e")
        bench.pipe.retract(3)
        return bench

    assert virtually(story()).data == b"cde"


@pytest.mark.parametrize(
    "held_by",
    [
        toxic("latency", latency=60_000),
        toxic("bandwidth", rate=0),
        toxic("reset_peer", timeout=60_000),
        toxic("slicer", average_size=1, delay=1_000_000),
    ],
    ids=lambda entry: entry.name,
)
def test_a_full_stage_makes_the_source_wait_and_removal_lets_it_go_on(held_by: Entry) -> None:
    async def story() -> None:
        bench = Bench(held_by)
        fed = 0
        while not bench.source.waits():
            bench.pipe.feed(bytes(4096))
            fed += 4096
            assert fed <= 9 * 1024 * 1024, "held without a bound"
            await settle()
        bench.pipe.retract(1)
        assert not bench.source.waits()
        assert len(bench.data) == fed

    virtually(story())


def test_tiny_chunks_count_for_what_they_cost() -> None:
    async def story() -> int:
        bench = Bench(toxic("bandwidth", rate=0))
        fed = 0
        while not bench.source.waits():
            bench.pipe.feed(b"x")
            fed += 1
        return fed

    assert virtually(story()) <= 300


def test_a_full_outlet_holds_every_stage_back_and_its_room_wakes_them() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("latency", 1, latency=0), toxic("slow_close", 2, delay=0))
        bench.block(True)
        for _ in range(400):
            if not bench.source.waits():
                bench.pipe.feed(bytes(65_536))
                await asyncio.sleep(0.001)
        passed = len(bench.data)
        assert bench.source.waits()
        assert passed <= 65_536
        bench.block(False)
        await asyncio.sleep(1)
        assert not bench.source.waits()
        assert len(bench.data) == bench.traffic.received
        return bench

    virtually(story())


def test_a_stage_that_closes_while_it_is_full_holds_nobody_back() -> None:
    async def story() -> None:
        bench = Bench(toxic("slow_close", 1, delay=0), toxic("limit_data", 2, bytes=10))
        bench.block(True)
        while not bench.source.waits():
            bench.pipe.feed(bytes(65_536))
            await settle()
        bench.block(False)
        await settle()
        assert bench.outlet.ending is Ending.CLOSE
        assert not bench.source.waits()

    virtually(story())


def test_an_update_that_changes_no_setting_disturbs_nothing() -> None:
    async def story() -> float:
        bench = Bench(toxic("timeout", timeout=200))
        await asyncio.sleep(0.15)
        bench.pipe.apply(toxic("timeout", timeout=200))
        await asyncio.sleep(1)
        return bench.outlet.ended_at

    assert virtually(story()) == pytest.approx(0.2)


def test_an_abandoned_pipe_holds_nothing_and_lets_the_source_run_dry() -> None:
    async def story() -> None:
        bench = Bench(toxic("bandwidth", rate=0))
        bench.pipe.feed(bytes(100_000))
        bench.pipe.abandon()
        assert not bench.source.waits()
        bench.pipe.apply(toxic("latency", 2, latency=1000))
        bench.pipe.feed(b"on")
        assert bench.data == b"on"

    virtually(story())


def test_toxicity_strikes_its_share_of_connections_and_follows_the_seed() -> None:
    async def struck(seed: int) -> list[bool]:
        found = []
        for connection in range(400):
            bench = Bench(toxic("latency", toxicity=0.3, latency=1000), key=f"{seed}/p/{connection}/downstream")
            bench.pipe.feed(b"x")
            found.append(bench.data == b"")
            bench.pipe.abandon()
        return found

    first = virtually(struck(7))
    assert 0.2 < sum(first) / 400 < 0.4
    assert virtually(struck(7)) == first
    assert virtually(struck(8)) != first


def test_a_draw_is_made_once_whatever_else_changes() -> None:
    async def story() -> None:
        for connection in range(50):
            bench = Bench(toxic("timeout", toxicity=0.5, timeout=0), key=str(connection))
            bench.pipe.feed(b"x")
            await settle()
            struck = bench.data == b""
            bench.pipe.apply(toxic("latency", 2, latency=0))
            bench.pipe.retract(2)
            bench.pipe.apply(toxic("timeout", toxicity=0.5, timeout=0))
            bench.pipe.feed(b"y")
            await settle()
            assert (bench.data == b"") is struck
            bench.pipe.abandon()

    virtually(story())


def test_raising_toxicity_keeps_those_already_struck() -> None:
    async def shares() -> list[set[int]]:
        found = []
        for toxicity in (0.0, 0.2, 0.6, 1.0):
            hit = set()
            for connection in range(100):
                bench = Bench(toxic("latency", toxicity=0.5, latency=1000), key=str(connection))
                bench.pipe.apply(toxic("latency", toxicity=toxicity, latency=1000))
                bench.pipe.feed(b"x")
                if not bench.data:
                    hit.add(connection)
                bench.pipe.abandon()
            found.append(hit)
        return found

    none, few, many, every = virtually(shares())
    assert none == set()
    assert few < many < every == set(range(100))


@dataclass(frozen=True)
class Broken:
    """A toxic with a defect."""

    NAME: ClassVar[str] = "broken"

    async def pipe(self, stub: Stub) -> None:
        await stub.head()
        raise ZeroDivisionError("a defect of the toxic")


def test_a_toxic_that_breaks_is_reported_not_swallowed() -> None:
    async def story() -> Bench:
        bench = Bench(Entry(1, "broken", Stream.DOWNSTREAM, 1.0, Broken()))
        bench.pipe.feed(b"x")
        await settle()
        return bench

    assert [type(error) for error in virtually(story()).failures] == [ZeroDivisionError]
