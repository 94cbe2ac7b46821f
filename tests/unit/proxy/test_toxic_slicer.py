"""Slicer: sizes, pace, and nothing lost in the cutting."""

from __future__ import annotations

import asyncio

import pytest

from harness.proxy.errors import ApiError
from tests.unit.proxy.proxy_rig import Bench, dial, proxied, really, settle, toxic, virtually


async def _sliced(key: str = "k", size: int = 10_000, **attributes: int) -> Bench:
    bench = Bench(toxic("slicer", **attributes), key=key)
    bench.pipe.feed(bytes(range(250)) * (size // 250))
    bench.pipe.end()
    await asyncio.sleep(10)
    return bench


def test_slices_are_about_the_average_and_add_up_to_the_original() -> None:
    bench = virtually(_sliced(average_size=100, size_variation=20))
    sizes = [len(piece) for _, piece in bench.outlet.pieces]
    assert bench.data == bytes(range(250)) * 40
    assert max(sizes) <= 120
    assert min(sizes) >= 25
    assert len(set(sizes)) > 5


def test_without_variation_slices_are_even() -> None:
    bench = virtually(_sliced(size=1000, average_size=250))
    assert [len(piece) for _, piece in bench.outlet.pieces] == [250] * 4


def test_sizes_follow_the_seed() -> None:
    first, again, other = (
        [len(piece) for _, piece in virtually(_sliced(key, average_size=100, size_variation=50)).outlet.pieces]
        for key in ("a", "a", "b")
    )
    assert first == again
    assert first != other


def test_the_delay_is_in_microseconds_and_kept_on_average() -> None:
    bench = virtually(_sliced(size=1000, average_size=10, delay=2000))
    gaps = [later - earlier for earlier, later in zip(bench.times, bench.times[1:], strict=False)]
    assert gaps == pytest.approx([0.002] * len(gaps), abs=1e-6)


def test_single_bytes_are_possible() -> None:
    bench = virtually(_sliced(size=500, average_size=1))
    assert [len(piece) for _, piece in bench.outlet.pieces] == [1] * 500


def test_removal_in_the_middle_of_a_chunk_delivers_the_rest_whole() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("slicer", average_size=10, delay=1_000_000))
        bench.pipe.feed(bytes(range(100)))
        await asyncio.sleep(2.5)
        cut = len(bench.data)
        assert 0 < cut < 100
        bench.pipe.retract(1)
        await settle()
        assert len(bench.outlet.pieces[-1][1]) == 100 - cut
        return bench

    assert virtually(story()).data == bytes(range(100))


@pytest.mark.parametrize("attributes", [{}, {"average_size": 0}, {"average_size": 5, "size_variation": 5}])
def test_settings_that_could_never_cut_are_refused(attributes: dict[str, int]) -> None:
    with pytest.raises(ApiError, match="average_size"):
        toxic("slicer", **attributes)


def test_over_sockets_the_bytes_arrive_whole() -> None:
    async def story() -> bytes:
        async with proxied() as proxy:
            proxy.chain.add({"type": "slicer", "attributes": {"average_size": 50, "size_variation": 10, "delay": 10}})
            reader, writer = await dial(proxy)
            writer.write(bytes(range(256)) * 100)
            found = await reader.readexactly(25_600)
            writer.close()
            return found

    assert really(story()) == bytes(range(256)) * 100
