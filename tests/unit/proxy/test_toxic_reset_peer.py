"""Reset peer: a true RST, on connections old and new, and nothing lost before it fires."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.proxy.proxy_rig import Bench, dial, proxied, really, settle, toxic, until, virtually


def test_it_fires_on_the_first_data_after_its_delay() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("reset_peer", timeout=200))
        await asyncio.sleep(5)
        assert bench.was_reset_at is None
        bench.pipe.feed(b"x")
        bench.pipe.feed(b"y")
        await asyncio.sleep(1)
        return bench

    bench = virtually(story())
    assert bench.was_reset_at == pytest.approx(5.2)
    assert bench.data == b""


def test_it_fires_on_the_end_of_the_stream_too() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("reset_peer", timeout=0))
        bench.pipe.end()
        await asyncio.sleep(0.001)
        return bench

    assert virtually(story()).was_reset_at == 0.0


def test_removed_before_it_fires_it_loses_nothing() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("reset_peer", timeout=60_000))
        bench.pipe.feed(b"held")
        await asyncio.sleep(1)
        bench.pipe.retract(1)
        bench.pipe.feed(b" and later")
        await settle()
        return bench

    bench = virtually(story())
    assert bench.data == b"held and later"
    assert bench.was_reset_at is None


def test_an_update_counts_from_the_data() -> None:
    async def story() -> Bench:
        bench = Bench(toxic("reset_peer", timeout=60_000))
        bench.pipe.feed(b"x")
        await asyncio.sleep(0.1)
        bench.pipe.apply(toxic("reset_peer", timeout=300))
        await asyncio.sleep(1)
        return bench

    assert virtually(story()).was_reset_at == pytest.approx(0.3)


@pytest.mark.parametrize("opened_before", [True, False])
def test_over_sockets_both_sides_get_a_true_reset(opened_before: bool) -> None:
    seen_by_server: list[str] = []

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                writer.write(data)
            seen_by_server.append("end of stream")
        except ConnectionResetError:
            seen_by_server.append("reset")
        writer.close()

    async def story() -> None:
        async with proxied(server) as proxy:
            if not opened_before:
                proxy.chain.add({"type": "reset_peer", "attributes": {"timeout": 0}})
            reader, writer = await dial(proxy)
            if opened_before:
                writer.write(b"fine")
                assert await reader.readexactly(4) == b"fine"
                proxy.chain.add({"type": "reset_peer", "attributes": {"timeout": 0}})
            writer.write(b"boom")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 1)
            await until(lambda: bool(seen_by_server), "the server noticed")
            await until(lambda: proxy.connections == 0, "the link is over")
            writer.close()

    really(story())
    assert seen_by_server == ["reset"]
