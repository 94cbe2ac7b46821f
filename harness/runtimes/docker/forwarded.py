"""A container on another machine: while it runs, the ports that it publishes there are forwarded to the same here.

A forward would take connections for a container that is gone, and close them; without it they are refused, as by an
engine of this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.model import ServicePlan
from harness.runtimes.docker.container import ContainerInstance
from harness.runtimes.docker.request import Request
from harness.runtimes.ssh.tunnel import Tunnel


class ForwardedContainer(ContainerInstance):
    """Its ports come and go with the container's network."""

    def __init__(self, service: ServicePlan, request: Request, log: Path, tunnel: Tunnel) -> None:
        super().__init__(service, request, log)
        self._tunnel = tunnel
        self._ports = [number for inside, (_, number) in request.ports.items() if inside.endswith("/tcp")]
        self._open = False

    @property
    def main_process(self) -> int:
        """0: whatever has that number here is another."""
        return 0

    def launch(self) -> None:
        """Start it, and forward. Raises PortError when a port is taken, there or here; ServiceError for the rest."""
        with self._lock:
            super().launch()
            self._forward()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._without_forwards(super().kill)

    def stop(self, grace: float) -> None:
        """SIGTERM, SIGKILL after the grace (whole seconds), and wait until it is gone."""
        self._without_forwards(lambda: super(ForwardedContainer, self).stop(grace))

    def isolate(self) -> None:
        """Take it off the stack's network: nobody reaches it, it reaches nobody."""
        self._without_forwards(super().isolate)

    def rejoin(self) -> None:
        """Undo `isolate`. Repeatable."""
        with self._lock:
            super().rejoin()
            if self._state().get("Running"):
                self._forward()

    def _forward(self) -> None:
        if not self._open:
            self._tunnel.forward(self._ports)
            self._open = True

    def _without_forwards(self, act: Callable[[], None]) -> None:
        with self._lock:
            act()
            if self._open:
                self._tunnel.forward_no_more(self._ports)
                self._open = False
