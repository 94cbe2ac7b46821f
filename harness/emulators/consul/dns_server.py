"""The DNS port: the resolver behind UDP datagrams and length-prefixed TCP, on one address."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import cast

import dns.exception
import dns.message

from .dns import Resolver

log = logging.getLogger("consul.dns")
TCP_IDLE = 30.0


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = _answer(self._resolver, data, udp=True)
        if answer:
            self._transport.sendto(answer, addr)


def _answer(resolver: Resolver, data: bytes, *, udp: bool) -> bytes:
    """The answer's bytes; none to what is not a query, as the real server stays silent too."""
    try:
        query = dns.message.from_wire(data)
    except dns.exception.DNSException as error:
        log.warning("not a DNS query: %s", error)
        return b""
    reply = resolver.answer(query, udp=udp)
    limit = max(query.payload, 512) if udp else 65535
    return reply.to_wire(max_size=limit)


async def serve_dns(resolver: Resolver, udp: socket.socket, tcp: socket.socket) -> None:
    """Serve on two bound sockets until cancelled."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    answer = _answer(resolver, await reader.readexactly(size), udp=False)
                writer.write(len(answer).to_bytes(2, "big") + answer)
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            # The client is done, or silent: both end a connection and nothing else.
            writer.close()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(resolver), sock=udp)
    server = await asyncio.start_server(connection, sock=tcp)
    try:
        await asyncio.Event().wait()
    finally:
        transport.close()
        server.close()
