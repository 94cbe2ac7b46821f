"""Tests sharded over two engines, a stack on each. SECOND_ENGINE names the second, as DOCKER_HOST would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KINDS = (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"))
OURS = "label=dev.infra-harness.run"
IMAGE = "infra-harness-test-engines:1"
TESTS = """
import os, subprocess
import pytest

def docker(*words):
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.split()

@pytest.mark.parametrize("number", range(8))
def test_the_stack_of_a_worker_is_on_the_workers_engine(stack, redis, namespace, number, record_property):
    redis.set(namespace.of("redis") + "k", number)
    assert redis.get(namespace.of("redis") + "k") == str(number)
    assert len(docker("ps", "-q", "--filter", f"label=dev.infra-harness.run={stack.run}")) == 1
    record_property("engine", os.environ["DOCKER_HOST"])
"""
KILLING = """
import os, signal
from harness.keeper.rundir import RunDir

def test_the_second_keeper_is_killed(stack, redis):
    mine = stack.client.run_dir.path
    second = mine if mine.name.endswith("-e1") else mine.with_name(mine.name + "-e1")
    os.kill(RunDir(second).keeper().pid, signal.SIGKILL)
"""


def docker(engine: str, *words: str) -> str:
    """What docker's own command line prints for an engine."""
    command = ["docker", "-H", engine, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"docker -H {engine} {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Project:
    """A project of one Redis and a few tests, and the two engines that it is run on."""

    root: Path
    engines: tuple[str, str]

    def test(self, text: str = TESTS) -> subprocess.CompletedProcess[str]:
        """`harness test` over both engines."""
        folder = self.root / "tests" / "infrastructure" / "services"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test_redis.py").write_text(text)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
        words = ["test", "-n", "2", "--engines", ",".join(self.engines), "--pull", "never", "--state", "s"]
        return subprocess.run(
            [sys.executable, "-m", "harness.cli.main", *words],
            cwd=self.root, capture_output=True, text=True, timeout=150, check=False, env=kept,
        )  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """Of the last run."""
        found: dict[str, Any] = json.loads((self.root / "reports" / "latest" / "summary.json").read_text())
        return found

    def left(self, run: str) -> list[str]:
        """What the stacks of a run have on either engine."""
        stacks = zip(self.engines, (run, f"{run}-e1"), strict=True)
        return [docker(engine, *kind, "--filter", f"{OURS}={stack}") for engine, stack in stacks for kind in KINDS]


@pytest.fixture
def project(engine: Any, tmp_path: Path) -> Iterator[Project]:
    """Both engines have the image of the shared stack's Redis under one name; the name goes with the test."""
    second = os.environ.get("SECOND_ENGINE")
    if not second:
        pytest.skip("not verified: needs a second engine, named by SECOND_ENGINE (docs/engines.md)")
    first = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    redis = engine.inspect("redis")["Config"]["Image"]
    for one in (first, second):
        docker(one, "tag", redis, IMAGE)
    service = {"image": IMAGE, "x-harness": {"kind": "redis"}, "command": ["redis-server"]}
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose" / "stack.yml").write_text(json.dumps({"services": {"redis": service}}))
    (tmp_path / "pyproject.toml").write_text("[tool.infra-harness]\n")
    yield Project(tmp_path, (first, second))
    for one in (first, second):
        docker(one, "rmi", IMAGE)


def test_tests_are_sharded_over_two_engines_and_nothing_is_left_on_either(project: Project) -> None:
    done = project.test()
    assert done.returncode == 0, done.stdout + done.stderr
    found = project.summary()
    assert [one["address"] for one in found["engines"]] == list(project.engines)
    for number, engine in enumerate(project.engines):
        assert f"engine {engine}: docker " in done.stdout
        said = [figures["engine"] for figures in found["measured"].values()].count(engine)
        assert said == found["engines"][number]["tests"]
        assert said > 0
    assert sum(one["tests"] for one in found["engines"]) == 8
    assert project.left(found["run"]) == [""] * 6


def test_a_service_that_is_not_ready_on_one_engine_is_told_with_that_engine(project: Project) -> None:
    """Under the image's name the second engine has something else, without a redis-server."""
    bare = docker(project.engines[1], "create", IMAGE)
    docker(project.engines[1], "commit", "--change", 'ENTRYPOINT ["/bin/false"]', bare, IMAGE)
    docker(project.engines[1], "rm", "-v", bare)
    done = project.test()
    assert done.returncode == 4, done.stdout + done.stderr
    found = project.summary()
    assert found["cause"].startswith(f"redis on {project.engines[1]} did not become ready: ")
    assert [one["services"]["redis"]["ready"] for one in found["engines"]] == [True, False]
    assert found["counts"]["passed"] == found["engines"][0]["tests"] > 0
    assert found["counts"]["blocked"] == found["engines"][1]["tests"] > 0
    assert project.left(found["run"]) == [""] * 6


def test_a_killed_keeper_fails_the_run_and_the_next_one_sweeps_its_engine(project: Project) -> None:
    """Killed from whichever worker has the test."""
    done = project.test(TESTS + KILLING)
    assert done.returncode != 0, done.stdout
    killed = project.summary()
    assert any(project.engines[1] in text and "keeper" in text for text in killed["left_behind"]), killed
    assert project.left(killed["run"])[:3] == [""] * 3
    again = project.test()
    assert again.returncode == 0, again.stdout + again.stderr
    assert project.left(killed["run"]) == [""] * 6
    assert project.left(project.summary()["run"]) == [""] * 6
