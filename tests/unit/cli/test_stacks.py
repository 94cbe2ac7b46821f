"""The stacks of one run on several engines: started at once, each told by its engine, ended whatever happened."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import app, journal
from harness.cli.stacks import Stacks
from harness.errors import ImageError, KeeperError, RuntimeUnavailable
from harness.model import Endpoint, Fidelity, ServiceStatus, Source, State
from harness.run import Run
from tests.unit.rigs.core_rig import plan_of, service

A, B = "unix:///a.sock", "tcp://127.0.0.1:1"
READY = ServiceStatus("redis", "redis", State.READY, Fidelity(Source.IMAGE, "8"), {"x": Endpoint("x", "h", 1)})
PLAN = plan_of(service("redis"))


@dataclass
class Keepers:
    """Keepers of a few lists, behind what the harness asks of them. `broken`: what a start on an engine raises."""

    asked: list[str] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    left: dict[str, list[str]] = field(default_factory=dict)
    before: Callable[[Run], object] = lambda run: None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Keepers:
        monkeypatch.setattr(
            app, "ensure_keeper", lambda run, owner, lifeline: self.asked.append(f"launch {run.engine}")
        )
        monkeypatch.setattr(app, "connect", self._connect)
        monkeypatch.setattr(app, "start_stack", self._start)
        return self

    def _connect(self, run: Run) -> Client:
        if run.engine in self.gone:
            raise KeeperError(f"run {run.id}: its keeper does not answer")
        return Client(self, run.engine)

    def _start(self, run: Run, client: Any, plan: Any, reason: str, progress: Any, tell: Any) -> None:
        self.before(run)
        tell("pulling")
        if run.engine in self.broken:
            raise self.broken[run.engine]
        progress(READY)


@dataclass
class Client:
    """A connection to one of them."""

    keepers: Keepers
    engine: str

    def keep(self) -> None:
        self.keepers.asked.append(f"keep {self.engine}")

    def stack(self) -> dict[str, Any]:
        return {}

    def close_stack(self) -> list[str]:
        self.keepers.asked.append(f"close {self.engine}")
        return self.keepers.left.get(self.engine, [])

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        return


@pytest.fixture
def keepers(monkeypatch: pytest.MonkeyPatch) -> Keepers:
    return Keepers().install(monkeypatch)


def run_of(state: Path, **flags: str) -> Run:
    given = {"state": str(state), "reports": str(state / "r"), "engines": f"{A},{B}", **flags}
    return app.new_run(app.load_settings(given, state), several=True)


def start(stacks: Stacks) -> str:
    out = io.StringIO()
    stacks.start(PLAN, "asked", Console(file=out, width=200))
    return out.getvalue()


def left_behind(run: Run) -> list[str]:
    events = journal.read(run.report / journal.FILE_NAME)
    return [text for event in events if event.type == journal.LEFT_BEHIND for text in event["what"]]


def test_stacks_start_at_once_and_each_line_names_its_engine(state: Path, keepers: Keepers) -> None:
    together = threading.Barrier(2, timeout=10)
    keepers.before = lambda run: together.wait()
    out = start(Stacks.launch(run_of(state)))
    assert keepers.asked == [f"launch {A}", f"launch {B}"]
    for engine in (A, B):
        assert f"redis on {engine} ready" in out
        assert f"engine {engine}: pulling" in out


def test_one_stack_without_a_named_engine_is_told_as_ever(state: Path, keepers: Keepers) -> None:
    run = app.new_run(app.load_settings({"state": str(state), "reports": str(state / "r")}, state), several=True)
    out = start(Stacks.launch(run))
    assert "redis            ready" in out
    assert "engine" not in out


def test_an_engine_that_refuses_fails_the_run_and_is_named_once(state: Path, keepers: Keepers) -> None:
    run = run_of(state)
    keepers.broken = {B: ImageError("image redis:8: absent", "pull it")}
    with pytest.raises(ImageError) as refused:
        start(Stacks.launch(run))
    assert (refused.value.message, refused.value.next_step) == (f"engine {B}: image redis:8: absent", "pull it")
    keepers.broken = {B: RuntimeUnavailable(f"docker engine at {B} does not answer")}
    with pytest.raises(RuntimeUnavailable) as refused_too:
        start(Stacks.launch(run))
    assert refused_too.value.message == f"docker engine at {B} does not answer"


def test_all_stacks_are_ended_and_what_is_left_is_told_with_its_engine(state: Path, keepers: Keepers) -> None:
    stacks = Stacks.launch(run_of(state))
    keepers.left = {B: ["network ih"]}
    assert stacks.end() == []
    assert sorted(keepers.asked[2:]) == [f"close {B}", f"close {A}"]
    assert left_behind(stacks.run) == [f"engine {B}: network ih"]


def test_a_keeper_that_is_gone_fails_the_run_and_the_others_are_ended(state: Path, keepers: Keepers) -> None:
    stacks = Stacks.launch(run_of(state))
    keepers.gone = {A}
    stacks.end()
    assert keepers.asked[2:] == [f"close {B}"]
    (told,) = left_behind(stacks.run)
    assert told.startswith(f"engine {A}: run ")
    assert "its keeper does not answer" in told


def test_all_are_kept_when_that_is_asked_for(state: Path, keepers: Keepers) -> None:
    stacks = Stacks.launch(run_of(state, keep="always"))
    told = stacks.end()
    assert sorted(keepers.asked[2:]) == [f"keep {B}", f"keep {A}"]
    assert f"  end it:    harness down --run {stacks.run.id}-e1" in told
