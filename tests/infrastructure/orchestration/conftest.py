"""What tests of orchestration need: the engine, asked directly, so that the witness shares nothing with the harness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.runtimes.external import ExternalStack


@dataclass(frozen=True)
class Engine:
    """docker's own command line, and the containers of one run."""

    run: str

    def docker(self, *words: str) -> str:
        """What a docker command prints. A failing command fails the test with what it said."""
        done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
        return done.stdout

    def container(self, service: str) -> str:
        """The id of a service's container, stopped ones too."""
        label = f"label=dev.infra-harness.run={self.run}"
        return self.docker(
            "ps", "-aq", "--no-trunc", "--filter", label, "--filter", f"label=dev.infra-harness.service={service}"
        ).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        found: dict[str, Any] = json.loads(self.docker("inspect", self.container(service)))[0]
        return found

    def network(self) -> str:
        """The name of the run's network."""
        return self.docker("network", "ls", "-q", "--filter", f"label=dev.infra-harness.run={self.run}").strip()


@dataclass(frozen=True)
class Up:
    """A stack that a test has started from a compose file of its own, by the command line, as a user does."""

    run: str
    services: dict[str, Any]
    engine: Engine
    end: Callable[[], str]


@pytest.fixture
def engine(stack: RemoteStack | ExternalStack) -> Engine:
    """The engine, when the shared stack runs on it."""
    if not isinstance(stack, RemoteStack) or stack.runtime != "docker":
        pytest.skip("not verified: containers exist only on the docker runtime")
    return Engine(stack.run)


@pytest.fixture
def up(engine: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Up]]:
    """Start a compose file given as a mapping, with options of `harness up`; everything is ended with the test."""
    started: list[str] = []

    def start(compose: dict[str, Any], *options: str) -> Up:
        file = tmp_path / f"compose-{len(started)}.yml"
        file.write_text(json.dumps(compose))
        state = tmp_path / f"s{len(started)}"
        started.append(str(state))
        harness("up", "--compose", str(file), "--runtime", "docker", "--pull", "never", "--owner", str(os.getpid()),
                "--reports", str(tmp_path / "r"), "--state", str(state), *options)  # fmt: skip
        (found,) = json.loads(harness("status", "--json", "--state", str(state)))
        services = {service["name"]: service for service in found["services"]}
        return Up(found["run"], services, Engine(found["run"]), lambda: harness("down", "--state", str(state)))

    yield start
    for state in started:
        harness("down", "--all", "--state", state)


def harness(*words: str) -> str:
    """What `harness` prints. A failing command fails the test with what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli.main", *words],
        capture_output=True, text=True, timeout=100, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, f"harness {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
