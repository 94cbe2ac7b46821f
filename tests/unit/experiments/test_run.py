"""The phases of an experiment, on a system that is one variable: every outcome, and the undo on every way out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.experiments import witness
from harness.experiments.checkers import SetFull
from harness.experiments.controls import without_apply, without_undo
from harness.experiments.experiment import Budgets, Ending, Experiment, Live, Outcome, valid
from harness.experiments.history import read
from harness.experiments.run import run
from harness.experiments.standstill import Standstill
from harness.experiments.workload import Careful, Record, Workload
from harness.faults.base import Injection
from harness.model import Verdict
from harness.probes.poll import NotYet

QUICK = Budgets(steady=0.2, witness=0.3, undo=1.0, healed=0.2, recovery=0.5)


class Toy:
    """A store that a fault breaks. `forgets`: what it acknowledges while broken is lost."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.broken = self.forgets = self.stays_down = False
        self.events: list[str] = []

    def add(self, value: Any) -> None:
        if self.broken and not self.forgets:
            raise ConnectionError("refused")
        if self.broken:
            time.sleep(0.02)
            return
        self.kept.append(value)

    def steady(self) -> None:
        if self.broken or (self.stays_down and self.events):
            raise NotYet("it is down")

    def apply(self) -> None:
        self.events.append("apply")
        self.broken = True

    def undo(self) -> None:
        self.events.append("undo")
        self.broken = False

    def healed(self) -> None:
        if self.broken:
            raise NotYet("still broken")

    @property
    def fault(self) -> Injection:
        return Injection("break the toy", self.apply, self.undo, self.healed)


class Client(Careful):
    def __init__(self, toy: Toy, number: int) -> None:
        self.toy, self.number = toy, number

    def step(self, number: int, record: Record) -> None:
        value = f"{self.number}-{number}"
        record("add", "k", value, lambda: self.toy.add(value))


@pytest.fixture
def toy() -> Toy:
    return Toy()


def experiment(toy: Toy, **more: Any) -> Experiment:
    made = Experiment(
        "toy",
        toy.steady,
        Workload("w", lambda number: Client(toy, number), interval=0.001),
        (SetFull(),),
        toy.fault,
        witness.errors(),
        final=lambda record: _read(toy, record),
        budgets=QUICK,
        warm_up=5,
    )
    return replace(made, **more)


def _read(toy: Toy, record: Record) -> None:
    record("read", "k", None, lambda: list(toy.kept))


def test_a_fault_that_is_survived_is_valid_and_measured(toy: Toy, tmp_path: Path) -> None:
    outcome = run(experiment(toy), tmp_path / "h.jsonl")
    assert valid(outcome).ending is Ending.COMPLETED
    names = [phase.name for phase in outcome.phases]
    assert names == ["steady", "workload", "fault", "witness", "observe", "undo", "recovery"]
    assert "refused" in outcome.witnessed
    assert outcome.measured["lost"] == 0
    assert 0 <= outcome.measured["rto_seconds"] < 1
    assert outcome.measured["undo_seconds"] < 0.5
    assert sum(point["ok"] for point in outcome.points) > 0
    assert len(list(read(tmp_path / "h.jsonl"))) == outcome.measured["operations"]
    assert toy.events == ["apply", "undo"]


def test_an_observer_is_told_when_the_fault_was_on(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly() -> None:
        time.sleep(0.05)
        Toy.apply(toy)

    def observe(live: Live) -> None:
        late = [item for item in live.since() if item.started >= live.applied_at]
        assert late
        assert not any(item.ok for item in late)
        assert live.applied_at - live.fault_at >= 0.05

    monkeypatch.setattr(toy, "apply", slowly)
    assert run(experiment(toy, observe=observe)).verdict is Verdict.VALID


def test_a_last_read_that_comes_late_is_no_outage(toy: Toy) -> None:
    def late(record: Record) -> None:
        time.sleep(0.6)
        _read(toy, record)

    assert run(experiment(toy, final=late)).measured["rto_seconds"] < 0.5


def test_lost_writes_are_invalid_with_count(toy: Toy) -> None:
    toy.forgets = True
    outcome = run(experiment(toy, witness=witness.slower(0.01)))
    assert outcome.verdict is Verdict.INVALID
    assert outcome.ending is Ending.COMPLETED
    assert outcome.measured["lost"] > 0
    assert "lost" in outcome.cause
    with pytest.raises(AssertionError, match="acknowledged elements lost"):
        valid(outcome)


def test_a_machine_that_stood_still_leaves_what_was_late_unknown(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    class Still(Standstill):
        def stop(self) -> None:
            super().stop()
            self.longest = 9.4

    monkeypatch.setattr("harness.experiments.run.Standstill", Still)
    outcome = run(experiment(toy, budgets=replace(QUICK, rto=1e-9)))
    assert outcome.verdict is Verdict.UNKNOWN
    assert "this machine itself stood still for 9.4 s" in outcome.cause
    assert outcome.measured["standstill_seconds"] == 9.4


def test_no_steady_state_before_touches_nothing(toy: Toy) -> None:
    toy.broken = True
    outcome = run(experiment(toy))
    assert (outcome.ending, outcome.verdict) == (Ending.NOT_STEADY, Verdict.UNKNOWN)
    assert toy.events == []


def test_an_injector_that_does_nothing_is_invalid_and_undone_all_the_same(toy: Toy) -> None:
    outcome = run(experiment(toy, fault=without_apply(toy.fault)))
    assert (outcome.ending, outcome.verdict) == (Ending.NOT_WITNESSED, Verdict.INVALID)
    assert toy.events == ["undo"]
    assert not outcome.discarded


def test_an_undo_that_does_nothing_discards_the_stack(toy: Toy) -> None:
    outcome = run(experiment(toy, fault=without_undo(toy.fault)))
    assert (outcome.ending, outcome.verdict) == (Ending.UNDO_FAILED, Verdict.INVALID)
    assert outcome.discarded
    assert "still broken" in outcome.cause


def test_each_part_of_a_fault_has_the_undos_budget(toy: Toy) -> None:
    def slow_undo() -> None:
        toy.undo()
        time.sleep(QUICK.undo * 1.2)  # what is measured is how long an undo takes

    slow = replace(toy.fault, undo=slow_undo)
    assert run(experiment(toy, fault=slow)).finding("undo").verdict is Verdict.INVALID
    assert run(experiment(toy, fault=replace(slow, parts=2))).finding("undo").verdict is Verdict.VALID


def test_a_failing_injector_is_undone(toy: Toy) -> None:
    def half() -> None:
        toy.apply()
        raise OSError("no permission")

    outcome = run(experiment(toy, fault=replace(toy.fault, apply=half)))
    assert outcome.ending is Ending.FAULT_FAILED
    assert "no permission" in outcome.cause
    assert toy.events == ["apply", "undo"]


def test_an_undo_that_fails_outweighs_a_missing_witness(toy: Toy) -> None:
    outcome = run(experiment(toy, fault=without_undo(toy.fault), witness=witness.errors(10**9)))
    assert outcome.discarded


def test_a_system_that_stays_down_is_not_recovered(toy: Toy) -> None:
    toy.stays_down = True
    assert run(experiment(toy)).ending is Ending.NOT_RECOVERED


def test_what_an_observer_misses_is_invalid_and_the_undo_comes(toy: Toy) -> None:
    def expects(live: Live) -> None:
        live.served_again(within=0.1)

    outcome = run(experiment(toy, observe=expects))
    assert outcome.finding("observation").verdict is Verdict.INVALID
    assert toy.events == ["apply", "undo"]


def test_an_observer_that_crashes_is_unknown(toy: Toy) -> None:
    def crashes(live: Live) -> None:
        raise KeyError("x")

    outcome = run(experiment(toy, observe=crashes))
    assert outcome.verdict is Verdict.UNKNOWN


def test_ctrl_c_passes_through_after_the_undo(toy: Toy) -> None:
    def interrupted(live: Live) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(experiment(toy, observe=interrupted))
    assert toy.events == ["apply", "undo"]


def test_ctrl_c_passes_through_even_when_the_undo_fails(toy: Toy) -> None:
    def interrupted(live: Live) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(experiment(toy, observe=interrupted, fault=without_undo(toy.fault)))


def test_a_late_undo_is_invalid(toy: Toy) -> None:
    def late() -> None:
        time.sleep(0.05)
        toy.undo()

    outcome = run(experiment(toy, fault=replace(toy.fault, undo=late), budgets=replace(QUICK, undo=0.02)))
    assert outcome.finding("undo").verdict is Verdict.INVALID


def test_an_outage_over_its_budget_is_invalid(toy: Toy) -> None:
    outcome = run(experiment(toy, budgets=replace(QUICK, rto=0.001)))
    assert outcome.finding("rto").verdict is Verdict.INVALID
    assert "0.001 s allowed" in outcome.cause


def test_a_control_without_a_fault_needs_no_witness(toy: Toy) -> None:
    outcome = run(experiment(toy, fault=None, witness=None))
    assert valid(outcome).witnessed == ""
    assert toy.events == []


def test_a_broken_workload_is_unknown(toy: Toy) -> None:
    def no_client(number: int) -> Client:
        raise RuntimeError("no such host")

    outcome = run(experiment(toy, workload=Workload("w", no_client)))
    assert outcome.verdict is not Verdict.VALID


def test_too_few_operations_are_unknown(toy: Toy) -> None:
    assert run(experiment(toy, least=10**6)).verdict is Verdict.UNKNOWN


def test_an_outcome_tells_everything(toy: Toy) -> None:
    text = str(run(experiment(toy)))
    assert "toy: valid (completed)" in text
    assert "witness:" in text
    assert "rto_seconds" in text
    with pytest.raises(UsageError, match="no finding of 'nobody'"):
        Outcome("x", Ending.COMPLETED, (), (), "").finding("nobody")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Not a name"}, "expected a name"),
        ({"checkers": ()}, "at least one checker"),
        ({"witness": None}, "fault and witness together"),
        ({"budgets": Budgets(recovery=0)}, "recovery"),
        ({"budgets": Budgets(undo=3)}, "at most 2 s"),
        ({"warm_up": 0}, "warm_up"),
        ({"workload": Workload("w", lambda n: Careful(), clients=0)}, "at least 1 client"),
        ({"workload": Workload("w", lambda n: Careful(), interval=-1)}, "interval"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_experiment_is_refused_whole_before_anything_is_touched(toy: Toy, change: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        experiment(toy, **change)
    assert toy.events == []
