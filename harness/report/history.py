"""Past runs in a directory, one small file each: what changed its verdict though nothing else changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.errors import ReportError
from harness.model import Outcome
from harness.report.read import BAD, RunReport
from harness.report.verdict import judge


@dataclass(frozen=True)
class Past:
    """One run: what was tested (the revision, and which services answered), and how every test ended."""

    run: str
    at: float
    seconds: float
    exit_code: int
    revision: str
    services: tuple[str, ...]
    seed: int = 0
    outcomes: dict[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> tuple[str, ...]:
        """What two runs must have in common to be compared; empty when the revision is unknown."""
        return (self.revision, *self.services) if self.revision else ()


@dataclass(frozen=True)
class Flake:
    """A test that passed and failed on the same subject. `runs` tells how it ended, oldest first."""

    test: str
    revision: str
    runs: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        red = sum(outcome != Outcome.PASSED for _, outcome in self.runs)
        return f"{self.test}: red in {red} of {len(self.runs)} runs of {self.revision}"


def past_of(report: RunReport, revision: str) -> Past:
    """What history keeps of a report."""
    services = sorted({f"{item.name}: {item.source} {item.version}" for item in report.services})
    outcomes = {test.id: str(test.outcome) for test in report.tests}
    seconds = round(report.finished - report.started, 1)
    return Past(
        report.run, report.started, seconds, judge(report).exit_code, revision, tuple(services), report.seed, outcomes
    )


def keep(past: Past, directory: Path) -> Path:
    """Add a run to the history. Raises ReportError."""
    file = directory / f"{past.run}.json"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(past), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ReportError(f"history {directory}: {error.strerror}", "choose another with --history") from error
    return file


def read(directory: Path) -> list[Past]:
    """Every past run, oldest first. Raises ReportError for a file that is none."""
    found = []
    for file in directory.glob("*.json"):
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            found.append(Past(**{**data, "services": tuple(data["services"])}))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ReportError(f"history {file}: no record of a run: {error}", "move it away") from error
    return sorted(found, key=lambda past: past.at)


def flakes(pasts: Iterable[Past]) -> list[Flake]:
    """Every test that both passed and was red on one subject; the most often red first. Runs in which it was skipped
    or blocked say nothing."""
    seen: dict[tuple[str, tuple[str, ...]], list[tuple[str, str]]] = {}
    for past in pasts:
        for test, outcome in past.outcomes.items() if past.subject else ():
            if outcome in (Outcome.PASSED, *BAD):
                seen.setdefault((test, past.subject), []).append((past.run, outcome))
    found = [Flake(test, subject[0], tuple(runs)) for (test, subject), runs in seen.items() if _both(runs)]
    return sorted(found, key=lambda flake: -sum(outcome != Outcome.PASSED for _, outcome in flake.runs))


def _both(runs: Sequence[tuple[str, str]]) -> bool:
    return len({outcome == Outcome.PASSED for _, outcome in runs}) == 2
