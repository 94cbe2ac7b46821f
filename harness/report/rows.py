"""A layer's tests gathered into the rows of a table: one per subject, the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.model import Outcome
from harness.report.read import BAD, RunReport, TestReport

COUNTED: Mapping[str, tuple[Outcome, ...]] = {
    "passed": (Outcome.PASSED,),
    "failed": BAD,
    "blocked": (Outcome.BLOCKED,),
    "skipped": (Outcome.SKIPPED,),
}
"""The columns that count tests, and which outcomes each counts."""


@dataclass(frozen=True)
class Row:
    """`subject`: the service in its own layer, else the file. `reasons`: each once, failures first, with how many tests
    have it."""

    subject: str
    counts: Mapping[str, int]
    seconds: float
    reasons: tuple[str, ...]


def rows(report: RunReport, layer: str) -> list[Row]:
    """One per subject, in the order in which they ran."""
    groups: dict[str, list[TestReport]] = {}
    for test in report.tests:
        if test.layer == layer:
            groups.setdefault(_subject(test), []).append(test)
    return [
        Row(name, counts(tests), sum(test.seconds for test in tests), tuple(_reasons(tests)))
        for name, tests in groups.items()
    ]


def counts(tests: Iterable[TestReport]) -> dict[str, int]:
    """How many tests each of `COUNTED` counts."""
    outcomes = [test.outcome for test in tests]
    return {name: sum(one in wanted for one in outcomes) for name, wanted in COUNTED.items()}


def _subject(test: TestReport) -> str:
    return test.id.partition("::")[0].rpartition("/")[2].removesuffix(".py").removeprefix("test_")


def _reasons(tests: list[TestReport]) -> list[str]:
    idle = [test for test in tests if test.outcome is not Outcome.PASSED]
    idle.sort(key=lambda test: test.outcome not in BAD)
    count: dict[str, int] = {}
    for test in idle:
        text = f"{test.id.rpartition('::')[2]}: {test.reason}" if test.outcome in BAD else test.reason
        count[text] = count.get(text, 0) + 1
    return [f"{text} ({number})" if number > 1 else text for text, number in count.items()]
