"""Fixed addresses on the stack's network: each service has one, and keeps it through stop, kill, restart and reconnect.

What the engine hands out by itself is given to somebody else while a container is stopped. A cluster whose members
know each other by address (Redis under Sentinels, Consul's gossip) would then talk to a stranger; by name it would
not find a stopped member at all (redis#12753).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from harness.errors import PlanError
from harness.model import Endpoint, Port, ServicePlan
from harness.plan import rewrite_service
from harness.services import kind_named

Addresses = Mapping[str, Mapping[str, Endpoint]]
LARGEST_PREFIX = 29
"""Of a network that has room for the host, a few services, and somebody connected by hand."""


def subnet_asked(services: Mapping[str, ServicePlan]) -> IPv4Network | None:
    """The subnet in which the compose file fixes addresses, None when it fixes none. Raises PlanError for several."""
    wanted = {name: IPv4Interface(item.options.address) for name, item in services.items() if item.options.address}
    subnets = sorted({address.network for address in wanted.values()})
    if len(subnets) > 1:
        told = " and ".join(map(str, subnets))
        raise PlanError(f"fixed addresses in {told}: a stack has one network", "keep those of one network")
    if subnets and subnets[0].prefixlen > LARGEST_PREFIX:
        raise PlanError(f"{subnets[0]} is too small for a stack", f"expected a /{LARGEST_PREFIX} or larger")
    return subnets[0] if subnets else None


def assign(services: Mapping[str, ServicePlan], host: IPv4Interface) -> FixedAddresses:
    """An address for every service: the one asked for, else the next of the network's lower half.

    `host` is this machine's own address there. Raises PlanError for an address that cannot be had, and for too many
    services.
    """
    asked = {name: IPv4Interface(item.options.address).ip for name, item in services.items() if item.options.address}
    taken = {host.ip, *asked.values()}
    for name, address in asked.items():
        if address == host.ip or list(asked.values()).count(address) > 1:
            whose = "the gateway's" if address == host.ip else "another service's"
            raise PlanError(f"service {name}: fixed address {address} is {whose} too", "choose another")
    lower = next(host.network.subnets())
    free = (address for address in map(IPv4Address, range(int(lower[1]), int(lower[-1]) + 1)) if address not in taken)
    given = dict(asked)
    for name in services:
        if name not in given:
            if (fresh := next(free, None)) is None:
                raise PlanError(f"{len(services)} services: {host.network} has no address left for {name}")
            given[name] = fresh
    return FixedAddresses(services, {name: str(address) for name, address in given.items()}, str(host.ip))


@dataclass(frozen=True)
class FixedAddresses:
    """The addresses of a stack's services on its own network, and this machine's (`host`) there."""

    services: Mapping[str, ServicePlan]
    by_service: Mapping[str, str]
    host: str

    def inside(self, service: ServicePlan, endpoints: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
        """Leased endpoints as the stack's own services reach them."""
        numbers = {port.name: port.number for port in _ports(service)}
        fixed = self.by_service[service.name]
        return {
            name: replace(endpoint, host=fixed, port=numbers[name])
            for name, endpoint in endpoints.items()
            if name in numbers
        }

    def told(self, service: ServicePlan, addresses: Addresses) -> ServicePlan:
        """The service with addresses in the place of names, where a name would not do: of links, and among members of a
        cluster; with arguments that announce its own."""
        seen = {name: self._seen(service, other, addresses.get(name, {})) for name, other in self.services.items()}
        ports = {name: {port.number: port.name for port in _ports(self.services[name])} for name in seen if seen[name]}
        told = rewrite_service(service, seen, ports)
        members = [other for other in self.services.values() if _members(service, other)]
        if service.kind is None or not members:
            return told
        announcing = kind_named(service.kind).announcing(service, self.by_service[service.name])
        return replace(told, command=(*told.command, *announcing))

    def _seen(self, service: ServicePlan, other: ServicePlan, leased: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
        """What of another service's addresses a service is told; a link's is the only one that is on the host."""
        links = {name: endpoint for name, endpoint in leased.items() if endpoint.host == self.host}
        if not _members(service, other):
            return links
        fixed = self.by_service[other.name]
        return {port.name: Endpoint(port.name, fixed, port.number, port.scheme) for port in _ports(other)} | links


def _members(service: ServicePlan, other: ServicePlan) -> bool:
    """Whether two services are members of one cluster, as far as their kind tells."""
    if service.kind is None or service.kind != other.kind or service.name == other.name:
        return False
    return kind_named(service.kind).members_by_address


def _ports(service: ServicePlan) -> tuple[Port, ...]:
    """Every port inside its container that others of the stack may name."""
    kind = kind_named(service.kind) if service.kind else None
    return (*kind.ports, *kind.process_ports) if kind else service.ports
