"""The stack's network: a bridge of its own, on a subnet that nobody else on this engine or host uses."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from harness.errors import RuntimeUnavailable

TRIES = 20
POOLS = tuple(ipaddress.IPv4Network(text) for text in ("10.192.0.0/10", "172.16.0.0/12", "192.168.0.0/16"))
"""Subnets are drawn from here: private, and first away from the ranges that engines take. A host whose VPN routes all
of 10.0.0.0/8 has the others."""


def create(
    client: Any,
    name: str,
    labels: dict[str, str],
    wanted: ipaddress.IPv4Network | None = None,
    routes: Path = Path("/proc/net/route"),
) -> Any:
    """A labelled bridge network, on the `wanted` subnet when the compose file asks for one, else on a free one.
    `routes` are those of the engine's machine.

    Raises RuntimeUnavailable when no subnet is free, or the wanted one is not.
    """
    taken = [*_engine_subnets(client), *host_routes(routes)]
    last = ""
    for _ in range(1 if wanted else TRIES):
        subnet = wanted or draw_subnet(taken, random.Random())
        try:
            return _make(client, name, labels, subnet)
        except APIError as error:
            last = str(error.explanation)
            if "overlap" not in last.lower():
                break
            taken.append(subnet)
    asked = f" on {wanted}, where the compose file fixes addresses" if wanted else ""
    raise RuntimeUnavailable(f"no network for the stack{asked}: {last}", "see `docker network ls` and `ip route`")


def _make(client: Any, name: str, labels: dict[str, str], subnet: ipaddress.IPv4Network) -> Any:
    """The engine itself hands out the upper half, to whoever is connected by hand; the lower is for fixed addresses."""
    _, upper = subnet.subnets()
    pool = IPAMPool(subnet=str(subnet), iprange=str(upper), gateway=str(subnet[1]))
    return client.networks.create(
        name, driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=labels, check_duplicate=True
    )


def draw_subnet(
    taken: Iterable[ipaddress.IPv4Network], rng: random.Random, pools: Iterable[ipaddress.IPv4Network] = POOLS
) -> ipaddress.IPv4Network:
    """A /24 of the first pool that has one which overlaps with nothing that is taken. Raises RuntimeUnavailable."""
    others = list(taken)
    for pool in pools:
        count = 2 ** (24 - pool.prefixlen)
        start = rng.randrange(count)
        for offset in range(count):
            first = int(pool.network_address) + 256 * ((start + offset) % count)
            subnet = ipaddress.IPv4Network((first, 24))
            if not any(subnet.overlaps(other) for other in others):
                return subnet
    raise RuntimeUnavailable("every private /24 is taken", "remove networks that are not needed")


def gateway(network: Any) -> ipaddress.IPv4Interface:
    """The host's address in the network, what containers call back, with the network's prefix. An engine does not tell
    the one that it chose for its own bridge, which is the first."""
    network.reload()
    config = network.attrs["IPAM"]["Config"][0]
    subnet = ipaddress.IPv4Network(config["Subnet"])
    return ipaddress.IPv4Interface(f"{config.get('Gateway') or subnet[1]}/{subnet.prefixlen}")


def _engine_subnets(client: Any) -> list[ipaddress.IPv4Network]:
    configs = [item for network in client.networks.list() for item in network.attrs["IPAM"].get("Config") or []]
    found = (ipaddress.ip_network(item["Subnet"]) for item in configs if ":" not in item.get("Subnet", ":"))
    return [subnet for subnet in found if isinstance(subnet, ipaddress.IPv4Network)]


def host_routes(table: Path) -> list[ipaddress.IPv4Network]:
    """The networks that this host routes to, the default route left out. Source: proc(5), /proc/net/route."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []
    found = []
    for row in rows:
        destination, mask = (int.from_bytes(bytes.fromhex(row[index]), "little") for index in (1, 7))
        if mask:
            found.append(ipaddress.IPv4Network((destination, mask.bit_count())))
    return found
