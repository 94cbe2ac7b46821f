"""`harness health`: all is well on a stack that is up; on one that is broken it names the service that broke it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.keeper.client import KeeperClient, RemoteStack
from harness.keeper.rundir import RunDir
from harness.probes.poll import Deadline, NotYet, poll
from harness.runtimes.external import ExternalStack

WELL_AGAIN_WITHIN = 20.0
"""Seconds from the undo: a real Consul that was frozen elects itself anew."""
QUICK_ELECTION = "performance { raft_multiplier = 1 }"
"""As the stack's own Consul has it; the default of 5 makes each start wait eight seconds for a leader."""
MEASURED = {
    "consul": {"leader", "critical checks"},
    "redis": {"used memory", "connected clients"},
    "arangodb": {"mode", "queue seconds"},
    "tempo": {"live traces"},
    "otel_collector": {"queue otlp_grpc/tempo traces"},
    "grafana": {"database"},
}
"""By kind: what its fill is told by, at least."""


def harness(*words: str, exits: int = 0) -> str:
    """What `harness` prints, run as a user does. Another exit code fails the test with what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    command = [sys.executable, "-m", "harness.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)
    assert done.returncode == exits, f"harness {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def health(run: RunDir, exits: int = 0) -> dict[str, Any]:
    """The answer of `harness health --json` for a run."""
    words = ("health", "--json", "--run", run.run, "--state", str(run.path.parent))
    found: dict[str, Any] = json.loads(harness(*words, exits=exits))
    return found


@dataclass(frozen=True)
class Pair:
    """A stack of this test alone: Consul, and a Redis that depends on it and has its address."""

    client: KeeperClient
    run: RunDir


@pytest.fixture
def pair(stack: RemoteStack | ExternalStack) -> Iterator[Pair]:
    """Started by the command line on the runtime of the shared stack; ended with the test."""
    if not isinstance(stack, RemoteStack):
        pytest.skip("not verified: a stack of its own needs a runtime of ours")
    images = {service.kind: service.image for service in stack.plan.services.values() if service.kind}
    consul: dict[str, Any] = {
        "command": ["agent", "-server", "-bootstrap-expect=1", "-client=0.0.0.0", "-hcl", QUICK_ELECTION]
    }
    redis: dict[str, Any] = {"environment": {"CONSUL_HTTP_ADDR": "consul:8500"}, "depends_on": ["consul"]}
    services = {
        name: {"image": images[name], "x-harness": {"kind": name}, **more}
        for name, more in (("consul", consul), ("redis", redis))
    }
    with tempfile.TemporaryDirectory(prefix="hh-") as directory:
        file, state = Path(directory, "compose.yml"), Path(directory, "s")
        file.write_text(json.dumps({"name": "pair", "services": services}))
        harness("up", "--compose", str(file), "--runtime", stack.runtime, "--pull", "never",
                "--reports", str(Path(directory, "r")), "--state", str(state), "--owner", str(os.getpid()))  # fmt: skip
        try:
            run = RunDir(next(state.iterdir()))
            with KeeperClient(run) as client:
                yield Pair(client, run)
        finally:
            harness("down", "--all", "--state", str(state))


@pytest.mark.uses("consul", "redis", "arangodb", "tempo", "otel_collector", "grafana")
def test_every_service_and_edge_of_the_stack_is_well_and_measured(stack: RemoteStack | ExternalStack) -> None:
    """Each service has read back what was written to it, told its version and its fill; each edge ends at a ready one.

    Source: docs/reference.md, `harness health`; exit code 0.
    """
    if not isinstance(stack, RemoteStack):
        pytest.skip("not verified: asked of an environment that is not ours by `harness health --target`")
    found = health(stack.client.run_dir)
    assert (found["run"], found["well"]) == (stack.run, True)
    by_kind = {service["kind"]: service for service in found["services"]}
    assert {kind: MEASURED[kind] - {one["name"] for one in by_kind[kind]["saturation"]} for kind in MEASURED} == {
        kind: set() for kind in MEASURED
    }
    for service in found["services"]:
        assert (service["alive"], service["ready"], service["cause"]) == (True, True, ""), service
        assert service["fidelity"]["version"] == stack[service["name"]].fidelity.version
        assert service["latency_seconds"] > 0
        assert all(0 <= one["share"] < 0.9 for one in service["saturation"])
    edges = {(edge["client"], edge["server"]): (edge["by"], edge["ready"]) for edge in found["edges"]}
    assert edges["otel-collector", "tempo"] == (["depends_on", "TEMPO_OTLP_ENDPOINT"], True)
    assert edges["grafana", "tempo"] == (["depends_on", "TEMPO_URL"], True)


@pytest.mark.uses("consul", "redis")
@pytest.mark.parametrize(
    ("breaks", "mends", "told"), [("pause", "resume", "is paused"), ("kill", "start", "is stopped")]
)
def test_a_living_dependant_names_the_service_that_made_it_unready(
    pair: Pair, breaks: str, mends: str, told: str
) -> None:
    """With Consul frozen or killed, Redis is alive, unready because of Consul, and ready again after the undo.

    Source: docs/reference.md, `harness health`; exit code 4.
    """
    consul = pair.client.stack()["consul"]
    getattr(consul, breaks)()
    found = health(pair.run, exits=4)
    broken, dependant = found["services"]
    assert (broken["alive"], broken["cause"], broken["culprit"]) == (False, told, "")
    assert (dependant["alive"], dependant["ready"]) == (True, False)
    assert (dependant["cause"], dependant["culprit"]) == (f"unready because consul {told}", "consul")
    assert found["edges"] == [
        {"client": "redis", "server": "consul", "by": ["depends_on", "CONSUL_HTTP_ADDR"], "ready": False}
    ]

    getattr(consul, mends)()

    def well() -> None:
        try:
            health(pair.run)
        except AssertionError as error:
            raise NotYet(str(error)) from error

    poll(well, Deadline.after(WELL_AGAIN_WITHIN), "health after the undo")
