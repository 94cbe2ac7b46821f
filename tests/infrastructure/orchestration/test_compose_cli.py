"""`docker compose` itself on the very files that the tests run: healthy, on loopback, changed piece by piece, gone."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.config import packaged
from harness.identity import Identity
from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.runtimes.docker.labels import Owner

STACK = packaged.stack_file()
PROJECT = "com.docker.compose.project"


@dataclass(frozen=True)
class Project:
    """A compose project of the test's own, on free ports."""

    name: str
    files: tuple[Path, ...]
    variables: dict[str, str]

    def compose(self, *words: str, **variables: str) -> str:
        """What `docker compose` prints. A failing command fails the test with what it said."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "COMPOSE_"))}
        files = [word for file in self.files for word in ("-f", str(file))]
        done = subprocess.run(
            ["docker", "compose", "-p", self.name, *files, *words],
            capture_output=True, text=True, timeout=100, check=False, env={**kept, **self.variables, **variables},
        )  # fmt: skip
        assert done.returncode == 0, f"docker compose {' '.join(words)}: {done.stderr}"
        return done.stdout

    def containers(self) -> dict[str, Any]:
        """What the engine knows of each service's container."""
        ids = self.compose("ps", "-aq").split()
        words = ["docker", "container", "inspect", *ids]
        found = json.loads(subprocess.run(words, capture_output=True, timeout=30, check=True).stdout) if ids else []
        return {item["Config"]["Labels"]["com.docker.compose.service"]: item for item in found}

    def down(self) -> set[str]:
        """End it and return the volumes that it had. One that an image declares passes from a recreated container to
        its successor by name, and `down -v` then takes it for somebody's: it is removed here."""
        volumes = {mount["Name"] for item in self.containers().values() for mount in item["Mounts"] if "Name" in mount}
        self.compose("down", "-v", "--timeout", "1")
        if volumes:
            subprocess.run(["docker", "volume", "rm", "--force", *volumes], capture_output=True, timeout=30, check=True)
        return volumes


@pytest.fixture
def project(engine: Any, stack: RemoteStack, lease: Callable[..., Endpoint], tmp_path: Path) -> Iterator[Project]:
    """The stack's own files, with the overlay of the images that the shared stack runs; not up yet."""
    if stack.elsewhere:
        pytest.skip("not verified: Compose would mount files that are on this machine, not on the engine's")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=20, check=False).returncode:
        pytest.skip("not verified: `docker compose` is not installed")
    files = [STACK]
    if engine.inspect("redis")["Config"]["Image"].startswith("infra-harness/"):
        files.append(STACK.with_name("offline.yml"))
        if engine.inspect("consul")["Config"]["Image"].endswith("-emulator"):
            files.append(STACK.with_name("offline-consul-emulator.yml"))
    name = f"ih-test-{os.getpid()}"
    files.append(labelled(tmp_path / "labels.yml", Owner(name, Identity.mine())))
    names = re.findall(r"\$\{(\w+_PORT):-", STACK.read_text())
    made = Project(name, tuple(files), {name: str(lease(name).port) for name in names})
    yield made
    made.down()


def labelled(file: Path, owner: Owner) -> Path:
    """An overlay that labels everything with whose it is: when this process is killed, the next run sweeps it."""
    stack = yaml.safe_load(STACK.read_text())
    parts = {part: {name: {"labels": owner.labels()} for name in stack[part]} for part in ("services", "volumes")}
    file.write_text(json.dumps({**parts, "networks": {"default": {"labels": owner.labels()}}}))
    return file


def left_of(engine: Any, project: Project) -> dict[str, str]:
    """What of a project is on the engine, by kind of thing."""
    listings = {"container": ("ps", "-aq"), "network": ("network", "ls", "-q"), "volume": ("volume", "ls", "-q")}
    label = f"label={PROJECT}={project.name}"
    return {what: engine.docker(*words, "--filter", label).strip() for what, words in listings.items()}


def test_compose_brings_the_stack_up_healthy_on_loopback_and_down_without_a_trace(
    engine: Any, project: Project
) -> None:
    """A developer without the harness gets the same stack. Source: Compose, `up --wait`, `down --volumes`."""
    project.compose("up", "-d", "--wait", "--pull", "never")
    containers = project.containers()
    assert len(containers) == 6
    for name, container in containers.items():
        assert container["State"]["Running"], name
        assert container["State"].get("Health", {"Status": "healthy"})["Status"] == "healthy", name
        ports = container["NetworkSettings"]["Ports"].values()
        published = [binding for bindings in ports for binding in bindings or ()]
        assert published, name
        assert {binding["HostIp"] for binding in published} == {"127.0.0.1"}, name
        assert {binding["HostPort"] for binding in published} <= set(project.variables.values()), name
    before = left_of(engine, project)
    assert before["container"]
    assert before["network"]
    project.compose("down", "-v", "--timeout", "1")
    assert left_of(engine, project) == {"container": "", "network": "", "volume": ""}


def test_a_changed_variable_recreates_only_the_service_that_it_is_part_of(engine: Any, project: Project) -> None:
    """One password changes, one container is new; nothing changes, none is. Source: Compose, `up`."""
    up = ("up", "-d", "--pull", "never", "redis", "consul", "arangodb")
    project.compose(*up)
    first = {name: item["Id"] for name, item in project.containers().items()}
    assert first.keys() == {"redis", "consul", "arangodb"}
    project.compose(*up)
    assert {name: item["Id"] for name, item in project.containers().items()} == first
    project.compose(*up, ARANGO_ROOT_PASSWORD="changed")
    second = {name: item["Id"] for name, item in project.containers().items()}
    assert {name for name in first if first[name] != second[name]} == {"arangodb"}
    volumes = project.down()
    assert volumes
    assert volumes.isdisjoint(engine.docker("volume", "ls", "-q").split())
