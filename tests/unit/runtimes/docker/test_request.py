"""What the compose file says of a container reaches the engine in one create request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.model import Health, Limits, Mount, ServicePlan
from harness.runtimes.docker.container import ContainerInstance
from harness.runtimes.docker.request import Joins, Request, request_for
from tests.unit.rigs.core_rig import service
from tests.unit.rigs.docker_rig import FakeEngine

PLAN = service("consul")


def asked(plan: ServicePlan) -> Request:
    return request_for(plan, {}, {}, [], Joins("ih-r1", "10.0.0.2"), {"dev.infra-harness.run": "r1"}, {})


def test_the_compose_files_words_reach_the_engine(engine: FakeEngine, tmp_path: Path) -> None:
    engine.image("consul:1.0")
    plan = replace(
        PLAN, command=("agent", "-dev"), entrypoint=("dumb-init",), environment={"A": "b"}, user="100", read_only=True,
        cap_add=("NET_RAW",), cap_drop=("ALL",), security_opt=("no-new-privileges:true", "apparmor=x"), hostname="h",
        limits=Limits(memory=64 << 20, cpus=0.5, pids=40), mounts=(Mount("tmpfs", "/tmp", "size=1m"),),
        health=Health(("CMD", "true"), 0.5, 1.0, 2, 3.0),
    )  # fmt: skip
    instance = ContainerInstance(plan, asked(plan), tmp_path / "log")
    instance.launch()
    request = engine.containers[0].asked
    expected = {
        "command": ["agent", "-dev"], "entrypoint": ["dumb-init"], "environment": {"A": "b"}, "user": "100",
        "read_only": True, "cap_add": ["NET_RAW"], "cap_drop": ["ALL"], "hostname": "h", "mem_limit": 64 << 20,
        "security_opt": ["no-new-privileges:true", "apparmor=x"], "nano_cpus": 500_000_000, "pids_limit": 40,
        "tmpfs": {"/tmp": "size=1m"},
    }  # fmt: skip
    assert {name: request[name] for name in expected} == expected
    check = request["healthcheck"]
    assert (check["Test"], check["Interval"], check["StartPeriod"]) == (["CMD", "true"], 500_000_000, 3_000_000_000)
    instance.close()


def test_a_health_check_can_be_switched_off() -> None:
    assert asked(replace(PLAN, health=Health(()))).more["healthcheck"]["Test"] == ["NONE"]
    assert "healthcheck" not in asked(PLAN).more
