"""An experiment as reports show it: what came out, when the fault was on, and its series in columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness import journal
from harness.journal import Event
from harness.model import Outcome, Verdict

FAULT, UNDO = "fault", "undo"
SERIES = ("at", "ok", "errors", "p95_ms")
"""Columns: seconds since the beginning, acknowledged and other operations per second, p95 in milliseconds."""


@dataclass(frozen=True)
class ExperimentReport:
    """One experiment, with the outcome of the test that ran it (None when that never ended). Times in seconds since
    the experiment's beginning."""

    name: str
    test: str
    outcome: Outcome | None
    verdict: Verdict
    ending: str
    cause: str
    witness: str
    findings: tuple[Mapping[str, Any], ...]
    phases: Mapping[str, tuple[float, float]]
    measured: Mapping[str, Any]
    points: tuple[Mapping[str, float], ...]
    changes: tuple[Mapping[str, Any], ...]
    history: str

    @property
    def as_expected(self) -> bool:
        """Whether its test, which knows what must come out (a control must not be valid), passed."""
        return self.outcome is Outcome.PASSED

    @property
    def fault_window(self) -> tuple[float, float] | None:
        """From the fault until it was verified to be gone; None without a fault."""
        if FAULT not in self.phases:
            return None
        return self.phases[FAULT][0], self.phases.get(UNDO, (0.0, self.ended))[1]

    @property
    def ended(self) -> float:
        """The last moment that anything is known of."""
        return max([0.0, *(end for _, end in self.phases.values()), *(point["at"] for point in self.points)])

    @property
    def series(self) -> dict[str, list[float]]:
        """The points as columns."""
        return {name: [point[name] for point in self.points] for name in SERIES}

    def number(self, name: str) -> str:
        """A measured number for a table, `-` where there is none."""
        value = self.measured.get(name)
        return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def experiments(events: Iterable[Event], outcomes: Mapping[str, Outcome]) -> tuple[ExperimentReport, ...]:
    """All of a journal, in the order in which they ended. `outcomes` are those of its tests, by id."""
    return tuple(_experiment(event, outcomes) for event in events if event.type == journal.EXPERIMENT_FINISHED)


def _experiment(event: Event, outcomes: Mapping[str, Outcome]) -> ExperimentReport:
    data = event.data
    return ExperimentReport(
        name=data["name"],
        test=data["test"],
        outcome=outcomes.get(data["test"]),
        verdict=Verdict(data["verdict"]),
        ending=data["ending"],
        cause=data["cause"],
        witness=data["witness"],
        findings=tuple(data["findings"]),
        phases={phase["name"]: (phase["began"], phase["ended"]) for phase in data["phases"]},
        measured=data["measured"],
        points=tuple(data["points"]),
        changes=tuple(data.get("changes", ())),
        history=data["history"],
    )


def as_data(one: ExperimentReport) -> dict[str, Any]:
    """One experiment for summary.json."""
    return {
        "name": one.name,
        "test": one.test,
        "outcome": one.outcome,
        "verdict": one.verdict,
        "ending": one.ending,
        "cause": one.cause,
        "witness": one.witness,
        "fault_window": one.fault_window,
        "measured": dict(one.measured),
        "changes": list(one.changes),
        "series": one.series,
    }
