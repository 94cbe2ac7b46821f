"""A proxy's life: down means refused, up again means the same port, moving drops connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from harness.proxy.errors import ApiError
from harness.proxy.proxy import Proxy, Rules
from harness.proxy.stream import Stream
from tests.unit.proxy.proxy_rig import dial, free_port, proxied, really, serving


def test_port_nought_becomes_the_real_one_and_is_kept() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            address = proxy.listen
            assert not address.endswith(":0")
            await proxy.stop()
            await proxy.start()
            assert proxy.listen == address

    really(story())


def test_down_closes_live_connections_and_refuses_new_ones() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            reader, writer = await dial(proxy)
            writer.write(b"x")
            await reader.readexactly(1)
            await proxy.stop()
            with pytest.raises(ConnectionRefusedError):
                await dial(proxy)
            assert await asyncio.wait_for(reader.read(), 1) == b""
            assert proxy.connections == 0
            writer.close()
            await proxy.start()
            reader, writer = await dial(proxy)
            writer.write(b"again")
            assert await reader.readexactly(5) == b"again"
            writer.close()

    really(story())


def test_starting_twice_and_stopping_twice_are_harmless() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            address = proxy.listen
            await proxy.start()
            assert proxy.listen == address
            await proxy.stop()
            await proxy.stop()

    really(story())


def test_toxics_survive_down_and_up_and_strike_new_connections() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            proxy.chain.add({"type": "limit_data", "attributes": {"bytes": 2}})
            await proxy.stop()
            await proxy.start()
            reader, writer = await dial(proxy)
            writer.write(b"12345")
            assert await asyncio.wait_for(reader.read(), 1) == b"12"
            writer.close()

    really(story())


def test_a_taken_port_is_told_and_leaves_the_proxy_disabled() -> None:
    async def story() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            proxy = Proxy("p", address, "127.0.0.1:1", Rules(1))
            with pytest.raises(ApiError, match="address already in use") as caught:
                await proxy.start()
            assert caught.value.status == 500
            assert not proxy.enabled

    really(story())


def test_a_port_held_for_it_can_be_listened_on() -> None:
    """A leased address: bound by its owner with SO_REUSEADDR, never listening."""

    async def story() -> None:
        with socket.socket() as lease:
            lease.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            lease.bind(("127.0.0.1", 0))
            async with serving() as upstream:
                address = f"127.0.0.1:{lease.getsockname()[1]}"
                proxy = Proxy("p", address, upstream, Rules(1))
                await proxy.start()
                reader, writer = await dial(proxy)
                writer.write(b"x")
                assert await asyncio.wait_for(reader.readexactly(1), 1) == b"x"
                writer.close()
                await proxy.stop()

    really(story())


def test_moving_drops_connections_and_starts_the_counters_anew() -> None:
    async def story() -> None:
        async with proxied() as proxy, serving() as other:
            reader, writer = await dial(proxy)
            writer.write(b"12345")
            await reader.readexactly(5)
            assert proxy.traffic[Stream.UPSTREAM].received == 5
            assert proxy.differs(proxy.listen, other)
            await proxy.move(proxy.listen, other)
            assert await asyncio.wait_for(reader.read(), 1) == b""
            writer.close()
            assert proxy.traffic[Stream.UPSTREAM].received == 0
            assert not proxy.enabled

    really(story())


def test_localhost_and_its_address_are_the_same_place() -> None:
    port = free_port()
    proxy = Proxy("p", f"127.0.0.1:{port}", "127.0.0.1:1", Rules(1))
    assert not proxy.differs(f"localhost:{port}", "127.0.0.1:1")
    assert proxy.differs(f"localhost:{port + 1}", "127.0.0.1:1")


@pytest.mark.parametrize(
    ("listen", "upstream", "words"),
    [
        ("127.0.0.1", "127.0.0.1:1", "missing port"),
        ("127.0.0.1:x", "127.0.0.1:1", "invalid port"),
        ("127.0.0.1:70000", "127.0.0.1:1", "invalid port"),
        ("::1:80", "127.0.0.1:1", "too many colons"),
        ("0.0.0.0:0", "127.0.0.1:1", "only loopback"),
        ("example.test:0", "127.0.0.1:1", "only loopback"),
        ("127.0.0.1:0", "nowhere", "missing port"),
    ],
)
def test_addresses_are_checked_before_anything_is_touched(listen: str, upstream: str, words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        Proxy("p", listen, upstream, Rules(1))
    assert caught.value.status == 400


def test_remote_addresses_need_permission() -> None:
    Proxy("p", "0.0.0.0:0", "127.0.0.1:1", Rules(1, allow_remote=True))
    with pytest.raises(ApiError, match="expected an IP address"):
        Proxy("p", "example.test:0", "127.0.0.1:1", Rules(1, allow_remote=True))


def test_an_empty_listen_address_is_loopback() -> None:
    async def story() -> str:
        proxy = Proxy("p", "", "127.0.0.1:1", Rules(1))
        await proxy.start()
        address = proxy.listen
        await proxy.stop()
        return address

    assert really(story()).startswith("127.0.0.1:")


def test_ipv6_loopback_works_where_the_machine_has_it() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")

    async def story() -> str:
        proxy = Proxy("p", "[::1]:0", "127.0.0.1:1", Rules(1))
        await proxy.start()
        address = proxy.listen
        await proxy.stop()
        return address

    assert really(story()).startswith("[::1]:")


def test_connections_waiting_to_be_accepted_when_it_goes_down_are_closed_too() -> None:
    async def story() -> None:
        async with proxied() as proxy:
            host, _, port = proxy.listen.rpartition(":")
            with contextlib.ExitStack() as stack:
                socks = [stack.enter_context(socket.create_connection((host, int(port)), 1)) for _ in range(20)]
                await asyncio.sleep(0)
                await proxy.stop()
                for sock in socks:
                    sock.setblocking(False)
                    with contextlib.suppress(ConnectionResetError):
                        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1), 1) == b""
                assert proxy.connections == 0

    really(story())
