"""A run's paths; with several engines, a stack on each and one report."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import app
from harness.errors import UsageError
from harness.run import Run

ENGINES = "unix:///a.sock,tcp://127.0.0.1:1"


def run_of(state: Path, engines: str = "", several: bool = True) -> Run:
    flags = {"state": str(state), "reports": str(state / "r"), **({"engines": engines} if engines else {})}
    return app.new_run(app.load_settings(flags, state), several)


def test_without_engines_a_run_has_one_stack_which_is_its_own(state: Path) -> None:
    run = run_of(state)
    assert run.stacks == (run,)
    assert (run.engine, dict(run.environment), run.of_engine("gone")) == ("", {}, "gone")


def test_one_engine_is_the_one_of_the_only_stack(state: Path) -> None:
    run = run_of(state, "tcp://127.0.0.1:1", several=False)
    assert run.stacks == (run,)
    assert dict(run.environment) == {"DOCKER_HOST": "tcp://127.0.0.1:1"}


def test_several_engines_have_a_stack_each_and_one_report(state: Path) -> None:
    run = run_of(state, ENGINES)
    first, second = run.stacks
    assert (first.id, second.id) == (run.id, f"{run.id}-e1")
    assert (first.engine, second.engine) == ("unix:///a.sock", "tcp://127.0.0.1:1")
    assert first.report == second.report == run.report
    assert second.settings.origin("engines") == "--engines"
    assert second.stacks == (second,)
    assert second.of_engine("gone") == "engine tcp://127.0.0.1:1: gone"


def test_each_stack_gets_a_directory_of_its_own(state: Path) -> None:
    run = run_of(state, ENGINES)
    for one in run.stacks:
        one.prepare()
    assert {path.name for path in state.iterdir()} == {run.id, f"{run.id}-e1", "r"}


def test_who_starts_one_stack_refuses_several_engines(state: Path) -> None:
    with pytest.raises(UsageError, match="2 engines by --engines: expected one, for there is one stack") as refused:
        run_of(state, ENGINES, several=False)
    assert "harness test" in refused.value.next_step
