"""The composition root: what is chosen on this machine and why, and the directories of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import app
from harness.config.settings import Settings
from harness.credentials import MASK
from harness.errors import KeeperError, ReportError, RuntimeUnavailable, UsageError
from harness.identity import Identity
from harness.keeper.rundir import RunDir
from harness.model import RuntimeName
from harness.runtimes import choice
from harness.runtimes.choice import choose_runtime
from tests.unit.rigs.core_rig import REDIS_COMPOSE


def settings_of(root: Path, **flags: str) -> Settings:
    return app.load_settings({"state": str(root / "s"), **flags}, root)


# -- the runtime -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "obstacle", "environment", "chosen", "reason"),
    [
        ("process", "", {}, "process", "asked for by --runtime"),
        ("docker", "no engine", {}, "docker", "asked for by --runtime"),
        ("auto", "", {}, "docker", "auto: the engine answers and has, or can pull, every image"),
        ("auto", "no engine", {}, "process", "auto: no engine"),
        ("auto", "no engine", {"CI": "1", "HARNESS_ALLOW_DEGRADE": "1"}, "process", "auto: no engine"),
    ],
)
def test_the_runtime_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, obstacle: str, environment: dict[str, str],
    chosen: str, reason: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(choice, "_no_docker", lambda settings, images, ids: obstacle)
    found = choose_runtime(settings_of(tmp_path, runtime=wanted), {}, {})
    assert (found.runtime, found.reason) == (RuntimeName(chosen), reason)


def test_in_ci_auto_never_degrades_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(choice, "_no_docker", lambda settings, images, ids: "no engine")
    with pytest.raises(RuntimeUnavailable, match="does not fall back to processes: no engine") as caught:
        choose_runtime(settings_of(tmp_path), {}, {})
    assert "--allow-degrade" in caught.value.next_step


def test_without_a_socket_or_a_host_no_library_is_loaded_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("harness.runtimes.choice.Path.exists", lambda path: False)
    assert choice._no_docker(settings_of(tmp_path), {}, {}).startswith("no docker engine: no DOCKER_HOST")


def test_where_an_engine_may_be_it_is_asked_for_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setattr("harness.runtimes.docker.asking.why_not", lambda images, pull, ids: f"{list(images)}")
    assert choice._no_docker(settings_of(tmp_path), {"redis:8": ("redis:8",)}, {}) == "['redis:8']"


def test_the_plan_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text(REDIS_COMPOSE)
    plan, reason = app.plan_for(settings_of(tmp_path, compose="one.yml", runtime="process"))
    assert (list(plan.services), plan.project, reason) == (["redis"], "one", "asked for by --runtime")
    assert app.services_of(settings_of(tmp_path, compose="one.yml"))["redis"].kind == "redis"


def test_the_external_runtime_needs_a_target(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a target file"):
        app.plan_for(settings_of(tmp_path, runtime="external"))


# -- a run ---------------------------------------------------------------------------------------------------------


def test_a_run_is_paths_until_it_is_prepared(tmp_path: Path, state: Path) -> None:
    run = app.new_run(app.load_settings({"state": str(state), "reports": str(tmp_path / "r")}, tmp_path))
    before = run.prepared, run.directory.path.exists()
    run.prepare()
    run.prepare()
    assert (*before, run.prepared) == (False, False, True)
    assert run.directory.path.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "r" / "latest").resolve() == run.report
    assert run.report.name == run.id
    assert [path.name for path in (tmp_path / "r").iterdir() if path.name.startswith(".")] == []


def test_the_seed_is_drawn_once_unless_it_is_given(tmp_path: Path) -> None:
    drawn, given = app.load_settings({}, tmp_path), app.load_settings({"seed": "0"}, tmp_path)
    assert drawn.origin("seed") == "drawn"
    assert 0 <= drawn["seed"] < 2**31
    assert (given["seed"], given.origin("seed")) == (0, "--seed")


def test_reports_that_cannot_be_written_leave_nothing_of_a_new_run(tmp_path: Path, state: Path) -> None:
    (tmp_path / "file").touch()
    run = app.new_run(app.load_settings({"state": str(state), "reports": "file/r"}, tmp_path))
    with pytest.raises(ReportError, match="Not a directory"):
        run.prepare()
    assert list(state.iterdir()) == []


def test_reports_that_cannot_be_written_leave_a_joined_stack_alone(tmp_path: Path, state: Path) -> None:
    (tmp_path / "file").touch()
    directory = state / "running"
    directory.mkdir()
    (directory / "keeper.json").write_text(Identity.mine().to_json())
    run = app.join_run(app.load_settings({}, tmp_path), directory, tmp_path / "file" / "r")
    with pytest.raises(ReportError):
        run.prepare()
    assert directory.exists()


# -- running stacks ---------------------------------------------------------------------------------------------------


def test_running_stacks_are_those_whose_keeper_lives(state: Path) -> None:
    settings = app.load_settings({"state": str(state)}, state)
    for name, identity in (("a", Identity.mine().to_json()), ("b", Identity.mine().to_json()), ("c", "{}")):
        (state / name).mkdir()
        RunDir(state / name).owner.write_text(identity)
    assert [run.run for run in app.running(settings)] == ["a", "b"]
    assert app.pick_running(settings, "b").run == "b"
    with pytest.raises(UsageError, match="2 stacks are up: a, b"):
        app.pick_running(settings)
    with pytest.raises(KeeperError, match="no stack c is up"):
        app.pick_running(settings, "c")


@pytest.mark.parametrize(
    ("word", "shown"), [("--token=abc", f"--token={MASK}"), ("--seed=5", "--seed=5"), ("password", "password")]
)
def test_arguments_are_told_without_secrets(word: str, shown: str) -> None:
    assert app._public(word) == shown


def test_a_private_stack_need_not_have_what_the_run_requires_to_be_real(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that requires Redis and Consul may start a stack of Redis alone; `real` stays `real` there."""
    (tmp_path / "one.yml").write_text(REDIS_COMPOSE)
    for required, left in (("redis,consul", ("redis",)), ("real", ("real",)), ("consul", ())):
        settings = app.load_settings({"require_fidelity": required, "state": str(state)}, tmp_path)
        inner = app.private_run(app.new_run(settings), [tmp_path / "one.yml"], "x")
        assert inner.settings["require_fidelity"] == left
