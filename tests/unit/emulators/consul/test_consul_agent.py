"""The agent's services and checks: TTL, maintenance, reaping, and what reaches the catalog."""

from __future__ import annotations

from typing import Any

import pytest

from harness.emulators.consul.definitions import check_definition, service_definition
from harness.emulators.consul.errors import ConsulError
from tests.unit.emulators.consul.consul_rig import World

SECOND = 1_000_000_000


def register(world: World, **body: Any) -> None:
    world.server.agent.register_service(*service_definition({"Name": "web", **body}))


def status(world: World, check_id: str = "service:web") -> str:
    return world.server.catalog.checks["n1", check_id].status


def test_a_ttl_check_starts_critical_and_needs_its_heartbeat(world: World) -> None:
    register(world, Check={"TTL": 2 * SECOND})
    assert status(world) == "critical"
    world.server.agent.heartbeat("service:web", "passing", "hb")
    world.timers.advance(1.9)
    world.server.agent.heartbeat("service:web", "passing", "hb")
    world.timers.advance(1.9)
    assert status(world) == "passing"
    world.timers.advance(0.2)
    assert status(world) == "critical"
    output = world.server.agent.checks["service:web"].output
    assert output == "TTL expired (last output before timeout follows): hb"


def test_an_output_that_alone_changes_wakes_nobody(world: World) -> None:
    register(world, Check={"TTL": 60 * SECOND, "Status": "passing"})
    index = world.server.store.index
    world.server.agent.heartbeat("service:web", "passing", "new words")
    assert world.server.agent.checks["service:web"].output == "new words"
    assert world.server.store.index == index


def test_a_service_that_stays_critical_is_removed_by_the_reaper_after_a_minute(world: World) -> None:
    register(world, Check={"TTL": SECOND, "DeregisterCriticalServiceAfter": SECOND})
    world.timers.advance(59)
    assert "web" in world.server.agent.services, "a minute is the floor, however short the setting"
    world.timers.advance(32)
    assert "web" not in world.server.agent.services
    assert world.server.catalog.instances("web") == []


def test_registering_again_keeps_checks(world: World) -> None:
    register(world, Check={"TTL": SECOND, "Status": "passing", "CheckID": "a"})
    register(world, Port=2)
    assert status(world, "a") == "passing"
    register(world, Check={"TTL": SECOND, "CheckID": "b"})
    assert sorted(world.server.agent.checks) == ["a", "b"]


def test_maintenance_makes_a_service_critical_and_ends(world: World) -> None:
    register(world)
    world.server.agent.maintain("web", "", enable=True)
    world.server.agent.maintain("web", "", enable=True)
    assert status(world, "_service_maintenance:web") == "critical"
    world.server.agent.maintain("web", "", enable=False)
    world.server.agent.maintain("web", "", enable=False)
    assert ("n1", "_service_maintenance:web") not in world.server.catalog.checks


def test_active_checks_run_while_they_are_registered(world: World) -> None:
    register(world, Check={"HTTP": "http://127.0.0.1:1/", "Interval": SECOND})
    assert list(world.monitors.running) == ["service:web"]
    world.server.agent.deregister_service("web")
    assert not world.monitors.running


@pytest.mark.parametrize(
    ("body", "text", "code"),
    [
        ({"Name": ""}, "Missing service name", 400),
        ({"Address": "0.0.0.0"}, "Invalid service address", 400),
        ({"Meta": {"k k": "v"}}, "Key contains invalid characters", 400),
        ({"Weights": {"Warning": 1}}, "Invalid Weights: Passing must be greater than 0", 400),
        ({"Check": {"HTTP": "http://x"}}, "Interval must be > 0 for Script, HTTP, or TCP checks", 400),
        ({"Check": {"TTL": 1, "Interval": 1}}, "Interval and TTL cannot both be specified", 400),
        ({"Check": {"TTL": SECOND, "Status": "foo"}}, "Status for checks must 'passing', 'warning', 'critical'", 400),
        ({"Check": {"Args": ["x"], "Interval": 1}}, "Scripts are disabled on this agent", 500),
        ({"Check": {"GRPC": "x", "Interval": 1}}, "GRPC of a check is not emulated", 501),
        ({"Check": {"HTTP": "http://x", "Interval": 1, "Method": "PUT"}}, "Method of an HTTP check is not", 501),
        ({"Check": {"HTTP": "https://x", "Interval": 1}}, "over TLS is not emulated", 501),
        ({"Connect": {}}, "is not emulated", 501),
    ],
)
def test_refused_services(body: dict[str, Any], text: str, code: int) -> None:
    with pytest.raises(ConsulError) as refused:
        service_definition({"Name": "web", **body})
    assert text in str(refused.value)
    assert refused.value.status == code


def test_check_ids_are_numbered_when_there_are_several() -> None:
    many = [{"TTL": 1}, {"TTL": 1, "CheckID": "mine"}, {"TTL": 1}]
    _, checks = service_definition({"Name": "web", "ID": "w", "Checks": many})
    assert [check["CheckID"] for check in checks] == ["service:w:1", "mine", "service:w:3"]
    assert check_definition({"Name": "n", "TTL": 1})["CheckID"] == "n"
