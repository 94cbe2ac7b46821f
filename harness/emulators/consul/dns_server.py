"""The DNS port: the resolver behind UDP datagrams. What is sent by TCP is refused: no listener is open there."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import cast

import dns.exception
import dns.message

from harness.emulators.runner import note

from .dns import Resolver

log = logging.getLogger("consul.dns")
SHORTEST_LIMIT = 512


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException as error:
            # The real server stays silent too.
            log.warning("not a DNS query: %s", error)
            return
        note("consul", "DNS")
        reply = self._resolver.answer(query)
        self._transport.sendto(reply.to_wire(max_size=max(query.payload, SHORTEST_LIMIT)), addr)


async def serve_dns(resolver: Resolver, udp: socket.socket) -> None:
    """Serve on a bound socket until cancelled."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(resolver), sock=udp)
    try:
        await asyncio.Event().wait()
    finally:
        transport.close()
