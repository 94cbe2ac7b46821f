"""The catalog's indexes: which change moves which reader."""

from __future__ import annotations

from typing import Any

import pytest

from harness.emulators.consul.errors import ConsulError
from tests.unit.emulators.consul.consul_rig import World


def register(world: World, node: str = "e1", **more: Any) -> None:
    world.server.catalog.register({"Node": node, "Address": "192.0.2.1", **more})


def test_a_service_index_moves_with_its_own_instances_and_checks_only(world: World) -> None:
    catalog = world.server.catalog
    register(world, Service={"Service": "db"})
    index = catalog.service_index("db")
    register(world, Service={"Service": "web"}, node="e2")
    assert catalog.service_index("db") == index
    register(world, Check={"Name": "c", "ServiceID": "db", "Status": "passing"})
    assert catalog.service_index("db") == world.server.store.index
    register(world, Check={"Name": "node check", "Status": "passing"})
    assert catalog.service_index("db") == world.server.store.index, "a node's check concerns all its services"


def test_an_unknown_service_has_the_index_of_the_last_extinction(world: World) -> None:
    register(world, Service={"Service": "db"})
    world.server.catalog.deregister("e1", service_id="db")
    index = world.server.catalog.service_index("db")
    register(world, Service={"Service": "web"})
    assert world.server.catalog.service_index("db") == world.server.catalog.service_index("never") == index


NODE, TWO = {"Node": "x1", "Address": "192.0.2.1"}, {"Node": "x2", "Address": "192.0.2.1"}


def check(check_id: str, status: str, service: str = "") -> dict[str, Any]:
    return {**NODE, "Checks": [{"CheckID": check_id, "Name": "n", "Status": status, "ServiceID": service}]}


STEPS: list[tuple[str, dict[str, Any], str]] = [
    ("a node", NODE, "nodes node service catalog never"),
    ("a node check", check("n1", "passing"), "checks service never"),
    ("a service", {**NODE, "Service": {"Service": "xs"}}, "services node service catalog never"),
    ("a service check", check("s1", "passing", "xs"), "checks service catalog never"),
    ("the same node check", check("n1", "passing"), "checks never"),
    ("the same service check", check("s1", "passing", "xs"), "checks never"),
    ("a changed node check", check("n1", "warning"), "checks service catalog never"),
    ("a changed service check", check("s1", "warning", "xs"), "checks service catalog never"),
    ("the same service", {**NODE, "Service": {"Service": "xs"}}, ""),
    ("a changed service", {**NODE, "Service": {"Service": "xs", "Port": 4}}, "services node service catalog never"),
    ("the same node", NODE, ""),
    ("a changed node", {**NODE, "Address": "192.0.2.2"}, "nodes node service catalog never"),
    ("- an unknown check", {"Node": "x1", "CheckID": "zz"}, ""),
    ("- the node check", {"Node": "x1", "CheckID": "n1"}, "services node checks service catalog never"),
    ("- the service check", {"Node": "x1", "CheckID": "s1"}, "checks service catalog never"),
    ("- an unknown service", {"Node": "x1", "ServiceID": "zz"}, ""),
    ("- the service", {"Node": "x1", "ServiceID": "xs"}, "services node checks service catalog never"),
    ("the service again", {**NODE, "Service": {"Service": "xs"}}, "nodes services node service catalog"),
    ("a second node", {**TWO, "Service": {"Service": "xs"}}, "nodes services node service catalog"),
    ("- one of two", {"Node": "x1", "ServiceID": "xs"}, "services node checks service catalog"),
    ("- a node without services", {"Node": "x1"}, "nodes"),
    ("- an unknown node", {"Node": "x9"}, ""),
    ("- a node with a service", {"Node": "x2"}, "nodes services checks service catalog never"),
]
"""What each change moved on a real 1.8.7, among: the index of the nodes, of the service names, of one node, of all
checks, of a service's health, of its catalog entry, and of the health of a service that never was."""


def test_each_change_moves_the_indexes_that_it_moves_on_a_real_server(world: World) -> None:
    catalog, store = world.server.catalog, world.server.store

    def indexes() -> dict[str, int]:
        return {
            "nodes": store.at("nodes"),
            "services": store.at("services"),
            "node": store.at("nodes", "services") if "x1" in catalog.nodes else 1,
            "checks": store.at("checks"),
            "service": catalog.service_index("xs", "nodes", "services", "checks"),
            "catalog": catalog.service_index("xs", "nodes", "services"),
            "never": catalog.service_index("none", "nodes", "services", "checks"),
        }

    for name, body, moved in STEPS:
        if name.startswith("-"):
            catalog.deregister(body["Node"], body.get("ServiceID", ""), body.get("CheckID", ""))
        else:
            catalog.register(body)
        assert {table for table, index in indexes().items() if index == store.index} == set(moved.split()), name


def test_deregistering_a_node_takes_everything_on_it(world: World) -> None:
    register(world, Service={"Service": "db"}, Check={"Name": "c", "ServiceID": "db"})
    world.server.catalog.deregister("e1")
    assert "e1" not in world.server.catalog.nodes
    assert world.server.catalog.instances("db") == []
    assert world.server.catalog.checks_of("e1") == []


def test_a_refused_registration_leaves_nothing(world: World) -> None:
    with pytest.raises(ConsulError, match='Missing service registration on node "e1"'):
        register(world, Service={"Service": "db"}, Check={"Name": "c", "ServiceID": "zz"})
    assert "e1" not in world.server.catalog.nodes


def test_tags_are_united_over_the_instances(world: World) -> None:
    register(world, Service={"Service": "db", "Tags": ["a", "b"]})
    register(world, Service={"Service": "db", "Tags": ["b", "c"]}, node="e2")
    assert world.server.catalog.tags_by_service()["db"] == ["a", "b", "c"]
    assert len(world.server.catalog.instances("db", ["B"])) == 2
    assert len(world.server.catalog.instances("db", ["a", "b"])) == 1
