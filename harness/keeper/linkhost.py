"""The links of a stack: the fault proxy, in a thread of the keeper, and the addresses that it stands in front of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from harness.errors import KeeperError, UsageError
from harness.keeper.leases import HOST, Leases
from harness.links import Links, Proxy, Toxic
from harness.model import Endpoint, LinkPlan, Port, ServicePlan, StackPlan
from harness.ports import Instance, Runtime
from harness.proxy.server import ProxyServer

STARTS_WITHIN = 10.0
Addresses = Mapping[str, Mapping[str, Endpoint]]
Leased = Mapping[str, dict[str, Endpoint]]
CalledAt = Callable[[int], tuple[str, int]]


@runtime_checkable
class Crowded(Protocol):
    """A runtime on a machine where no number can be held: others may have some that were leased here."""

    def taken(self) -> frozenset[int]:
        """The numbers that somebody listens at there. Known after `prepare`."""
        ...


class LinkHost:
    """Runs the proxy from the first link on. `close` ends it with every connection through it."""

    def __init__(self, leases: Leases, seed: int = 0) -> None:
        self._leases, self._seed = leases, seed
        self._links: Links | None = None
        self._thread: threading.Thread | None = None
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._lock = threading.Lock()
        self.planned: dict[str, LinkPlan] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.inside: dict[str, Endpoint] = {}

    def open(
        self, link: LinkPlan, addresses: Addresses, host: str = HOST, called_at: CalledAt | None = None
    ) -> Endpoint:
        """Put a link in front of its target, on a leased address of its own at `host`. Nothing to do when it is there
        already. `called_at` says where services find what listens there."""
        with self._lock:
            if link.name in self.endpoints:
                return self.endpoints[link.name]
            target = _target(link, addresses)
            leased = self._leases.lease(_port(target), host)
            self._client().create(link.name, leased.address, target.address)
            self.inside[link.name] = _elsewhere(leased, *called_at(leased.port)) if called_at else leased
            self.planned[link.name], self.endpoints[link.name] = link, leased
            return leased

    def lease_anew(self, addresses: Leased, taken: frozenset[int]) -> None:
        """Other numbers for the addresses that are taken, as long as nobody was told them."""
        for ports in addresses.values():
            for name, endpoint in ports.items():
                if endpoint.port in taken:
                    ports[name] = replace(endpoint, port=self._free(endpoint, taken))

    def _free(self, endpoint: Endpoint, taken: frozenset[int]) -> int:
        while (port := self._leases.lease(_port(endpoint)).port) in taken:
            continue
        return port

    def seen_by(self, service: str, addresses: Addresses) -> Addresses:
        """The addresses as one service is told them: those of links instead of their targets'."""
        seen = {name: dict(ports) for name, ports in addresses.items()}
        for link in self.planned.values():
            if service in link.sources:
                seen[link.target][_target(link, addresses).name] = self.inside[link.name]
        return seen

    def operate(self, verb: str, name: str, request: Mapping[str, Any]) -> Any:
        """`poison`, `cut`, `mend` or `flaws` of one link. Raises UsageError for a link that is not there."""
        if name not in self.endpoints or self._links is None:
            raise UsageError(f"no link {name!r}: expected one of {', '.join(self.endpoints) or '(none)'}")
        match verb:
            case "poison":
                toxic = Toxic(request["toxic"], request["attributes"], request["stream"])
                return self._links.add_toxic(name, toxic).name
            case "cut":
                self._links.disable(name)
            case "mend":
                self._mend(self._links, name)
            case "flaws":
                return _flaws(self._links.get(name))
            case _:
                raise UsageError(f"a link has no operation {verb!r}")
        return True

    def _mend(self, links: Links, name: str) -> None:
        for toxic in links.toxics(name):
            links.remove_toxic(name, toxic.name)
        links.enable(name)

    def close(self) -> None:
        """End the proxy. Harmless when there is none."""
        if self._stop and self._thread:
            loop, stop = self._stop
            loop.call_soon_threadsafe(stop.set)
            self._thread.join(STARTS_WITHIN)
            self._stop = None
        if self._links:
            self._links.close()

    def _client(self) -> Links:
        if self._links is None:
            ready: list[str] = []
            up = threading.Event()
            self._thread = threading.Thread(target=self._serve, args=(ready, up), name="links", daemon=True)
            self._thread.start()
            if not up.wait(STARTS_WITHIN) or not ready:
                raise KeeperError("the link proxy did not come up", "see the keeper's log")
            self._links = Links(ready[0])
        return self._links

    def _serve(self, ready: list[str], up: threading.Event) -> None:
        async def serve() -> None:
            stop = asyncio.Event()
            self._stop = (asyncio.get_running_loop(), stop)
            # Its API is on loopback; links between containers listen on this machine's address in their network.
            server = ProxyServer(HOST, 0, seed=self._seed, allow_remote=True)
            try:
                ready.append(await server.start())
                up.set()
                await stop.wait()
            finally:
                up.set()
                await server.stop()

        asyncio.run(serve())


class LinkedRuntime:
    """A runtime whose services are told the addresses of links. A link between services listens where they reach it."""

    def __init__(self, runtime: Runtime, links: LinkHost, addresses: Leased) -> None:
        self._runtime, self._links, self._addresses = runtime, links, addresses

    @property
    def callback_host(self) -> str:
        """The runtime's own."""
        return self._runtime.callback_host

    @property
    def elsewhere(self) -> str:
        """The runtime's own."""
        return self._runtime.elsewhere

    def called_at(self, port: int) -> tuple[str, int]:
        """The runtime's own."""
        return self._runtime.called_at(port)

    def called_no_more(self, port: int) -> None:
        """The runtime's own."""
        self._runtime.called_no_more(port)

    def lost(self) -> str:
        """The runtime's own."""
        return self._runtime.lost()

    def prepare(self, plan: StackPlan) -> None:
        """The runtime's own, then the links: only now is there an address that services can call back."""
        self._runtime.prepare(plan)
        if isinstance(self._runtime, Crowded):
            self._links.lease_anew(self._addresses, self._runtime.taken())
        for link in plan.links:
            if link.sources:
                self._links.open(link, self._addresses, self.callback_host, self.called_at)
            else:
                self._links.open(link, self._addresses)

    def create(self, service: ServicePlan, addresses: Addresses, log: Any) -> Instance:
        """The runtime's own, with the addresses as this service is to see them."""
        return self._runtime.create(service, self._links.seen_by(service.name, addresses), log)

    def inside(self, service: ServicePlan, endpoints: Mapping[str, Endpoint]) -> Mapping[str, Endpoint]:
        """The runtime's own."""
        return self._runtime.inside(service, endpoints)

    def close(self) -> list[str]:
        """The runtime's own."""
        return self._runtime.close()


def _flaws(proxy: Proxy) -> list[str]:
    return [*(toxic.name for toxic in proxy.toxics), *(() if proxy.enabled else ("down",))]


def _target(link: LinkPlan, addresses: Addresses) -> Endpoint:
    ports = addresses.get(link.target)
    if not ports:
        raise UsageError(f"link {link.name}: no service {link.target!r}: expected one of {', '.join(addresses)}")
    if link.port and link.port not in ports:
        raise UsageError(f"link {link.name}: {link.target} has no port {link.port!r}: expected {', '.join(ports)}")
    return ports[link.port] if link.port else next(iter(ports.values()))


def _elsewhere(endpoint: Endpoint, host: str, port: int) -> Endpoint:
    return replace(endpoint, host=host, port=port)


def _port(endpoint: Endpoint) -> Port:
    return Port(endpoint.name, endpoint.port, endpoint.scheme)
