"""The verdict on a run, from its report: the exit code, and the one cause that comes first."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import EXIT_GREEN, EXIT_RED, BudgetSpent, LeftBehind, NothingRan, RuntimeUnavailable, ServiceError
from harness.model import Outcome
from harness.report.read import BAD, RunReport


@dataclass(frozen=True)
class RunVerdict:
    """`exit_code` for a pipeline, `cause` for a person: empty when all is well."""

    exit_code: int
    cause: str


def judge(report: RunReport) -> RunVerdict:
    """Judge by what happened, worst first; never by a runner's exit code.

    A live environment that cannot be judged has a code of its own. A lost engine, and a service that did not come
    up, outweigh red tests, because they follow from it. A run without an executed test is never green.
    """
    smoke = report.smoke or {}
    if smoke.get("exit"):
        return RunVerdict(smoke["exit"], smoke["cause"])
    if report.lost:
        return RunVerdict(RuntimeUnavailable.exit_code, report.lost[0])
    broken = [service for service in report.services if not service.ready and not service.blocked]
    if broken:
        first = broken[0]
        return RunVerdict(ServiceError.exit_code, f"{first.place} did not become ready: {first.cause}")
    red = [test for test in report.tests if test.outcome in BAD]
    if red:
        return RunVerdict(EXIT_RED, f"{red[0].id}: {red[0].reason}")
    if report.problems:
        return RunVerdict(EXIT_RED, report.problems[0])
    if report.left_behind:
        return RunVerdict(LeftBehind.exit_code, f"left behind: {', '.join(report.left_behind)}")
    if unreached := smoke.get("not_reached"):
        return RunVerdict(BudgetSpent.exit_code, f"not reached in time: {', '.join(unreached)}")
    if not report.executed:
        skipped = report.count(Outcome.SKIPPED) + report.count(Outcome.BLOCKED)
        return RunVerdict(NothingRan.exit_code, f"no test was executed ({skipped} skipped or blocked)")
    return RunVerdict(EXIT_GREEN, "")
