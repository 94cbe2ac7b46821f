"""Private stacks and experiments in a user's project: started alone, broken, judged, gone; one real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.pytest_plugin.private import with_overlays
from tests.unit.rigs.core_rig import needs_redis
from tests.unit.rigs.plugin_rig import Project

STORY = """\
from harness.experiments.actors.redis_calls import Appends, connect, read_list
from harness.experiments.checkers import SetFull
from harness.experiments.controls import without_undo
from harness.experiments.experiment import Budgets, Experiment, valid
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults.kill import Kill
from harness.faults.link_down import LinkDown
from harness.model import LinkPlan
from harness.probes.answer import answers

FILES = ["compose/stack.yml"]


def experiment(name, redis, at, fault):
    def client():
        return connect(redis, 1.0, at)
    return Experiment(name, lambda: answers(at), Workload("w", lambda n: Appends(client, name, n)), (SetFull(),),
                      fault, errors(1), final=read_list(lambda: connect(redis), name), budgets=Budgets(healed=0.5))


def test_story(private_stack, run_experiment):
    stack = private_stack("redis", compose=FILES, links=[LinkPlan("client", "redis")])
    redis, link = stack["redis"], stack.links["client"]
    outcome = run_experiment(experiment("killed", redis, redis.endpoint(), Kill().inject(redis)))
    assert outcome.finding("set-full").details["lost"] > 0, "a Redis without persistence forgets"
    valid(run_experiment(experiment("cut", redis, link.endpoint, LinkDown().inject(link))))


def test_discarded(private_stack, run_experiment):
    redis = private_stack(compose=FILES)["redis"]
    outcome = run_experiment(experiment("lies", redis, redis.endpoint(), without_undo(Kill().inject(redis))))
    assert outcome.discarded
    try:
        redis.refresh()
    except Exception:
        return
    raise AssertionError("the stack is still up")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    made = Project(pytester, state / "s", monkeypatch)
    yield made
    if made.left():
        made.down()


@needs_redis
def test_experiments_on_private_stacks_leave_their_verdict_and_nothing_else(project: Project) -> None:
    project.test("failover", "story", STORY)
    project.run().assert_outcomes(passed=2)
    found = {event["name"]: event for event in project.events("experiment_finished")}
    assert {name: (event["verdict"], event["discarded"]) for name, event in found.items()} == {
        "killed": ("invalid", False),
        "cut": ("valid", False),
        "lies": ("invalid", True),
    }
    killed = found["killed"]
    assert killed["test"].endswith("::test_story")
    assert killed["measured"]["lost"] > 0
    assert sum(point["ok"] for point in killed["points"]) > 0
    history = (project.report / killed["history"]).read_text().splitlines()
    assert len(history) == killed["measured"]["operations"]
    assert {json.loads(line)["kind"] for line in history} == {"add", "read"}
    assert project.events("run_started") == [], "the shared stack was started for nothing"
    assert project.left() == []


@needs_redis
def test_bad_input_is_told_and_leaves_nothing(project: Project) -> None:
    project.test(
        "failover",
        "bad",
        "def test_a(private_stack): private_stack('nobody', compose=['compose/stack.yml'])\n",
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no service 'nobody' in one: expected one of redis*"])
    assert project.left() == []


def test_the_runs_overlays_come_along_where_they_have_something_for_a_private_stack(tmp_path: Path) -> None:
    for name in ("ha.yml", "offline-ha.yml", "stack.yml"):
        (tmp_path / name).touch()
    elsewhere = Path("/elsewhere")
    run = [tmp_path / "stack.yml", elsewhere / "offline.yml", elsewhere / "metrics.yml"]
    assert with_overlays([tmp_path / "ha.yml"], run) == [tmp_path / "ha.yml", tmp_path / "offline-ha.yml"]
    assert with_overlays([tmp_path / "stack.yml", tmp_path / "tls.yml"], run) == [*run, tmp_path / "tls.yml"]
    assert with_overlays([tmp_path / "stack.yml"], []) == [tmp_path / "stack.yml"]
