"""A named proxy: a listener, its live links, its toxics."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from harness.proxy.address import BACKLOG, bound, listen, resolve, split
from harness.proxy.chain import Chain
from harness.proxy.endpoint import Traffic
from harness.proxy.link import Link
from harness.proxy.stream import Stream

log = logging.getLogger(__name__)

DIAL_SECONDS = 30.0
"""How long a client may wait for the upstream's handshake before it is closed. Its own deadline is usually shorter."""


@dataclass(frozen=True)
class Rules:
    """What all proxies of a server share: the seed of every draw, and whether listening beyond loopback is allowed."""

    seed: int
    allow_remote: bool = False


class Proxy:
    """Enabled it listens and carries; disabled its port refuses and it has no connection.

    The callers see to it that `start`, `stop` and `move` never overlap.
    """

    def __init__(self, name: str, listen_address: str, upstream: str, rules: Rules) -> None:
        resolve(listen_address, rules.allow_remote)
        split(upstream)
        self.name = name
        self.listen = listen_address
        self.upstream = upstream
        self.enabled = False
        self.traffic = {stream: Traffic() for stream in Stream}
        self.chain = Chain(lambda: self._links)
        self._rules = rules
        self._links: dict[Link, None] = {}
        self._dials: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._accepted = 0

    def as_json(self) -> dict[str, Any]:
        """The body that the API answers with."""
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [entry.as_json() for entry in self.chain.entries],
        }

    @property
    def connections(self) -> int:
        """Live connections, those still being dialled included."""
        return len(self._links)

    async def start(self) -> None:
        """Listen, and replace port 0 by the one that was given. Nothing to do if enabled. Raises ApiError (500)."""
        if self.enabled:
            return
        sock = listen(*resolve(self.listen, self._rules.allow_remote))
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: self._link().client, sock=sock, backlog=BACKLOG, start_serving=False
        )
        self.listen = bound(sock)
        self.enabled = True
        await self._listener.start_serving()

    async def stop(self) -> None:
        """Close the listener and every connection, and return when they are closed. Nothing to do if disabled."""
        self.enabled = False
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        links = tuple(self._links)
        dials = tuple(self._dials)
        for dial in dials:
            dial.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
        for link in links:
            link.abort()
        await asyncio.gather(*(link.closed.wait() for link in links))

    def differs(self, listen_address: str, upstream: str) -> bool:
        """Whether these addresses are others than the present ones. Raises ApiError (400) for malformed ones."""
        split(upstream)
        present = resolve(self.listen, self._rules.allow_remote)
        return resolve(listen_address, self._rules.allow_remote) != present or upstream != self.upstream

    async def move(self, listen_address: str, upstream: str) -> None:
        """Take new addresses, dropping all connections; stays stopped. Byte counts begin anew, as their labels do."""
        await self.stop()
        self.listen = listen_address
        self.upstream = upstream
        self.traffic = {stream: Traffic() for stream in Stream}

    # -- connections ------------------------------------------------------------------------------------------

    def _link(self) -> Link:
        self._accepted += 1
        return Link(self.traffic, f"{self._rules.seed}/{self.name}/{self._accepted}", self)

    def accepted(self, link: Link) -> None:
        """A client is there: dial the upstream for it."""
        if not self.enabled:  # accepted while the listener was closing
            link.abort()
            return
        self._links[link] = None
        dial = asyncio.get_running_loop().create_task(self._dial(link))
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)

    def over(self, link: Link) -> None:
        """Both sockets of a link are closed."""
        self._links.pop(link, None)

    async def _dial(self, link: Link) -> None:
        """Connect to the upstream. A dial that fails closes the client after it was accepted.

        It sees an end of stream, or a reset if it has already said something that nobody will read.
        """
        host, port = split(self.upstream)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                await loop.create_connection(lambda: link.upstream, host or "127.0.0.1", port)
        except (OSError, UnicodeError) as error:  # TimeoutError is an OSError; a host name may not encode
            log.warning("%s: unable to open connection to upstream %s: %s", self.name, self.upstream, error)
            link.abort()
        else:
            link.open(self.chain.entries)
