"""Fixed addresses: whose is which, who is told an address in the place of a name, and what cannot be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

import pytest

from harness.errors import PlanError
from harness.model import ContainerOptions, Endpoint, Mount, ServicePlan
from harness.runtimes.docker.addresses import FixedAddresses, assign, subnet_asked
from tests.unit.rigs.core_rig import service

HOST = IPv4Interface("10.9.0.1/24")
PRIMARY = replace(service("primary", kind="redis"), command=("redis-server", "/data/node.conf"))
REPLICA = replace(
    service("replica", kind="redis"),
    command=("redis-server", "/data/node.conf"),
    mounts=(Mount("content", "/data/node.conf", "replicaof primary 6379\n"),),
)
SENTINEL = replace(
    service("sentinel", kind="redis"),
    command=("redis-server", "/s.conf", "--sentinel"),
    mounts=(Mount("content", "/s.conf", "sentinel monitor m primary 6379 2\n"),),
)
APP = replace(service("app"), environment={"STORE": "primary:6379", "AGENT": "agent:8500"})
AGENT = replace(service("agent", kind="consul"), command=("agent", "-retry-join=server:8301"))
SERVER = service("server", kind="consul")
ALL = {one.name: one for one in (PRIMARY, REPLICA, SENTINEL, APP, AGENT, SERVER)}
LEASED = {name: {"redis": Endpoint("redis", "127.0.0.1", 20001, "redis")} for name in ("primary", "replica")}


def fixed(address: str, name: str = "a") -> ServicePlan:
    return replace(service(name), options=ContainerOptions(address=address))


def told(name: str, addresses: Mapping[str, Mapping[str, Endpoint]] = LEASED) -> ServicePlan:
    return assign(ALL, HOST).told(ALL[name], addresses)


def test_every_service_gets_the_next_address_of_the_lower_half() -> None:
    found = assign({"a": fixed("10.9.0.3/24"), "b": service("b"), "c": service("c")}, HOST)
    assert found == FixedAddresses(found.services, {"a": "10.9.0.3", "b": "10.9.0.2", "c": "10.9.0.4"}, "10.9.0.1")


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ([fixed("10.9.0.1/24")], "fixed address 10.9.0.1 is the gateway's too"),
        ([fixed("10.9.0.5/24"), fixed("10.9.0.5/24", "b")], "fixed address 10.9.0.5 is another service's too"),
        ([service(f"s{number}") for number in range(127)], "127 services: 10.9.0.0/24 has no address left for s126"),
    ],
)
def test_what_cannot_be_had_is_told(services: list[ServicePlan], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        assign({one.name: one for one in services}, HOST)


def test_the_compose_files_subnet_is_the_stacks() -> None:
    assert subnet_asked(ALL) is None
    assert subnet_asked({"a": fixed("172.28.0.9/16"), "b": service("b")}) == IPv4Network("172.28.0.0/16")
    with pytest.raises(PlanError, match=r"in 172\.28\.0\.0/16 and 172\.29\.0\.0/16: a stack has one network"):
        subnet_asked({"a": fixed("172.28.0.9/16"), "b": fixed("172.29.0.9/16", "b")})
    with pytest.raises(PlanError, match=r"172\.28\.0\.8/30 is too small"):
        subnet_asked({"a": fixed("172.28.0.9/30")})


def test_leased_endpoints_are_known_inside_by_address_and_the_containers_port() -> None:
    endpoints = {"redis": LEASED["primary"]["redis"], "other": Endpoint("other", "127.0.0.1", 20002)}
    assert assign(ALL, HOST).inside(PRIMARY, endpoints) == {"redis": Endpoint("redis", "10.9.0.2", 6379, "redis")}


def test_members_of_a_cluster_are_told_each_others_addresses() -> None:
    assert told("replica").mounts[0].source == "replicaof 10.9.0.2 6379\n"
    assert told("sentinel").mounts[0].source == "sentinel monitor m 10.9.0.2 6379 2\n"
    assert told("agent").command == ("agent", "-retry-join=10.9.0.7:8301")


def test_others_go_on_using_names() -> None:
    assert told("app") == APP


def test_a_replica_announces_the_address_that_its_primary_does_not_see_through_a_link() -> None:
    assert told("replica").command[-2:] == ("--replica-announce-ip", "10.9.0.3")
    assert told("sentinel").command == SENTINEL.command
    alone = {"primary": PRIMARY, "app": APP}
    assert assign(alone, HOST).told(PRIMARY, LEASED).command == PRIMARY.command
    scripted = replace(PRIMARY, command=("sh", "-c", "redis-server"))
    assert assign({**ALL, "primary": scripted}, HOST).told(scripted, LEASED).command == scripted.command


@pytest.mark.parametrize("name", ["app", "replica"])
def test_a_links_address_on_the_host_comes_before_every_other(name: str) -> None:
    linked = {**LEASED, "primary": {"redis": Endpoint("redis", "10.9.0.1", 30001, "redis")}}
    found = told(name, linked)
    text = found.environment.get("STORE") or found.mounts[0].source
    assert text in {"10.9.0.1:30001", "replicaof 10.9.0.1 30001\n"}
    assert found.environment.get("AGENT") in {None, "agent:8500"}
