"""Sharding over engines: which worker has which stack, and what cannot be sharded told before anything starts."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import app
from harness.errors import UsageError
from harness.identity import Identity
from harness.pytest_plugin import engines as subject
from harness.pytest_plugin.hooks import WORKER_KEY, ToWorkers
from harness.pytest_plugin.session import HarnessSession
from harness.report.engines import EngineReport
from harness.run import Run
from tests.unit.rigs.plugin_rig import Project

A, B = "unix:///nowhere/a.sock", "tcp://127.0.0.1:1"
GREEN = "def test_ping(redis): pass\n"


@pytest.fixture
def run(state: Path) -> Run:
    return app.new_run(app.load_settings({"state": str(state), "engines": f"{A},{B}"}, state), several=True)


@pytest.fixture
def project(pytester: pytest.Pytester, state: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(pytester, state / "s", monkeypatch)
    made.write("pyproject.toml", f'[tool.infra-harness]\nstate = "{state}/s"\n')
    made.test("services", "redis", GREEN)
    return made


# -- which worker has which stack ----------------------------------------------------------------------------------


def test_workers_have_the_stacks_round_robin(run: Run) -> None:
    found = [subject.stack_of(run, f"gw{number}") for number in range(4)]
    assert [one.engine for one in found] == [A, B, A, B]
    assert [one.id for one in found] == [run.id, f"{run.id}-e1"] * 2
    assert subject.stack_of(run, "main").engine == A


def test_a_worker_is_told_its_stack_and_its_engine(run: Run) -> None:
    session = HarnessSession(run.settings, run, Identity.mine(), owns_run=True)
    node = SimpleNamespace(workerinput={}, gateway=SimpleNamespace(id="gw1"))
    ToWorkers(session).pytest_configure_node(node)
    told: dict[str, Any] = node.workerinput[WORKER_KEY]
    assert told["engines"] == (B,)
    assert told["directory"].endswith(f"{run.id}-e1")
    assert told["report"] == str(run.report)


def test_a_process_with_one_stack_lives_on_its_engine(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///mine.sock")
    subject.live_on(run)
    assert os.environ["DOCKER_HOST"] == "unix:///mine.sock"
    subject.live_on(run.stacks[1])
    assert os.environ["DOCKER_HOST"] == B


@pytest.mark.parametrize(
    ("dist", "tx", "workers"),
    [("no", [], 1), ("no", ["popen"] * 3, 1), ("load", ["popen"] * 3, 3), ("each", ["2*popen", "ssh=x"], 3)],
)
def test_processes_that_run_tests_are_counted(dist: str, tx: list[str], workers: int) -> None:
    config: Any = SimpleNamespace(getoption=lambda name, default=None: {"dist": dist, "tx": tx}[name])
    assert subject.workers_of(config) == workers


def test_without_xdist_there_is_one() -> None:
    config: Any = SimpleNamespace(getoption=lambda name, default=None: default)
    assert subject.workers_of(config) == 1


@pytest.mark.parametrize(("engines", "workers"), [((), 1), ((A,), 1), ((A, B), 2), ((A, B), 5)])
def test_as_many_workers_as_engines_are_enough(engines: tuple[str, ...], workers: int) -> None:
    subject.refuse_few_workers(engines, workers)


@pytest.mark.parametrize(("count", "workers", "found"), [(2, 1, "no workers"), (3, 2, "2 workers")])
def test_an_engine_without_a_worker_is_refused(count: int, workers: int, found: str) -> None:
    with pytest.raises(UsageError) as refused:
        subject.refuse_few_workers((A,) * count, workers)
    assert refused.value.message == f"{count} engines and {found}: expected a worker for each engine, or more"
    assert refused.value.next_step == f"give -n {count}, or name fewer engines"


def test_the_first_lines_tell_each_engine_and_where_they_differ() -> None:
    told = subject.told([EngineReport(A, "r", "20.10"), EngineReport(B, "r-e1", "27.1")])
    assert [line.partition(":")[0] for line in told] == [f"engine {A.partition(':')[0]}", "engine tcp", "different"]
    assert told[2] == f"different: engines differ: docker 20.10 on {A}; docker 27.1 on {B}"


# -- in a user's project -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--infra-engines", f"{A},{B}"], "2 engines and no workers: expected a worker for each engine, or more"),
        (["-n", "2", "--infra-engines", f"{A},{B},{B}"], "3 engines and 2 workers: expected a worker for each"),
        (["-n", "2", "--infra-engines", f"{A},{B}"], "docker engine at * does not answer: "),
        (["--infra-engines", A, "--infra-runtime", "process"], "expected runtime docker, or auto"),
        (["--infra-engines", A, "--infra-attach", "r1"], "a running stack by --attach: expected one of the two"),
        (["--infra-engines", "here"], "expected addresses such as unix:///run/docker.sock"),
    ],
)
def test_what_cannot_be_sharded_is_one_sentence_and_starts_nothing(
    project: Project, words: list[str], sentence: str
) -> None:
    result = project.run(*words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{sentence}*"])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert project.left() == []


def test_collecting_asks_no_engine(project: Project) -> None:
    result = project.run("--collect-only", "--infra-engines", f"{A},{B}")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_ping*"])
