"""How far the engine is: on this machine, or behind an ssh connection that is this process's own."""

from __future__ import annotations

import os
from pathlib import Path

from harness.ports import Spawner
from harness.runtimes.docker.engine import engine_address
from harness.runtimes.ssh.checks import HERE
from harness.runtimes.ssh.reach import DOCKER_HOST, own_tunnel
from harness.runtimes.ssh.tunnel import Tunnel, here_and_now

ROUTES = Path("/proc/net/route")


class Distance:
    """`open` it before anything is asked of the engine, `close` it last."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._gateway = ""
        self.tunnel: Tunnel | None = None

    def open(self) -> None:
        """Connect where the engine is elsewhere; all clients of this process have it by DOCKER_HOST from then on.
        Raises RuntimeUnavailable."""
        self._connect(self._spawner)

    def _connect(self, spawner: Spawner) -> None:
        self.tunnel = own_tunnel(engine_address(), spawner)
        if self.tunnel:
            os.environ[DOCKER_HOST] = self.tunnel.docker_host

    def routes(self) -> Path:
        """The routes of the engine's machine, as proc(5) has them."""
        return self.tunnel.routes() if self.tunnel else ROUTES

    def taken(self) -> frozenset[int]:
        """The numbers that somebody listens at on the engine's machine, when that is not this one."""
        return self.tunnel.listening() if self.tunnel else frozenset()

    def callback_host(self, gateway: str) -> str:
        """What receivers of ours bind, given this machine's, or the engine machine's, address in the stack's network.
        Raises RuntimeUnavailable when services would not reach them."""
        self._gateway = gateway
        if self.tunnel is None:
            return gateway
        self.tunnel.refuse_no_way_back(gateway)
        return HERE

    def called_at(self, port: int) -> tuple[str, int]:
        """Host and port by which services reach what listens on the callback host at a port."""
        return self._gateway, self.tunnel.back(self._gateway, port) if self.tunnel else port

    def called_no_more(self, port: int) -> None:
        """The end of that."""
        if self.tunnel:
            self.tunnel.back_no_more(self._gateway, port)

    def lost(self) -> str:
        """Why the engine is out of reach; empty while it is not, as far as a connection tells."""
        return self.tunnel.lost() if self.tunnel else ""

    def again(self) -> bool:
        """After the connection was lost: have another, which ends with the thread that asks. True when there is one
        where there was none. Raises RuntimeUnavailable."""
        lost = self.tunnel
        if lost is None or not lost.lost():
            return False
        try:
            self._connect(here_and_now)
        finally:
            lost.close()
        return True

    def close(self) -> None:
        """End the connection."""
        if self.tunnel:
            self.tunnel.close()
