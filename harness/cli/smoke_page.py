"""The page that a release manager reads: yes, no or not all; per service; what was not reached; what was written."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.errors import EXIT_GREEN, BudgetSpent
from harness.model import Outcome
from harness.report.read import BAD, RunReport, TestReport
from harness.report.verdict import judge

WORDS = {EXIT_GREEN: "[bold green]YES[/]", BudgetSpent.exit_code: "[bold yellow]NOT ALL[/]"}
"""The answer by exit code; every other is a no. NOT ALL is no pass."""


def show(report: RunReport, code: int, console: Console) -> None:
    """Print the page."""
    smoke = report.smoke or {}
    console.print(f"{WORDS.get(code, '[bold red]NO[/]')}  {escape(_sentence(report, smoke))}", soft_wrap=True)
    console.print(_table(report, smoke))
    for line in (*_told(smoke), *_reds(report), *_not_verified(report)):
        console.print(line, markup=False, soft_wrap=True)
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in Outcome)
    spent = f"{smoke.get('seconds', 0):.1f} s of {smoke.get('budget', 0):g} s"
    console.print(f"{counts} in {spent}; smoke/{smoke.get('identity', '')}; exit {code}", soft_wrap=True)


def _sentence(report: RunReport, smoke: dict[str, Any]) -> str:
    if cause := judge(report).cause:
        return cause
    how = "; nothing was written" if smoke.get("read_only") else "; what was written is gone"
    emulated = f"; EMULATED, a rehearsal: {', '.join(report.emulated)}" if report.emulated else ""
    return f"all {len(report.services)} services answer and do their work{how}{emulated}"


def _table(report: RunReport, smoke: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("service", "version", "certificate until", "passed", "red", "not run", "verdict"):
        table.add_column(column, overflow="fold")
    for name, seen in smoke.get("services", {}).items():
        tests = [test for test in report.tests if name in test.uses]
        numbers = [
            str(_count(tests, *wanted)) for wanted in ((Outcome.PASSED,), BAD, (Outcome.SKIPPED, Outcome.BLOCKED))
        ]
        version, until = seen["version"] or "not told", seen["certificate_until"] or "no TLS"
        table.add_row(escape(name), escape(version), until, *numbers, escape(_verdict(seen, tests)))
    return table


def _count(tests: list[TestReport], *outcomes: Outcome) -> int:
    return sum(test.outcome in outcomes for test in tests)


def _verdict(seen: dict[str, Any], tests: list[TestReport]) -> str:
    if seen["error"]:
        return str(seen["error"])
    if _count(tests, *BAD):
        return "red"
    return "well" if _count(tests, Outcome.PASSED) else "not judged"


def _told(smoke: dict[str, Any]) -> list[str]:
    """A sentence for each service that cannot be judged, and its next step; then what was swept."""
    lines = [
        f"{name}: {seen['cause']}\n  -> {seen['next_step']}"
        for name, seen in smoke.get("services", {}).items()
        if seen["error"]
    ]
    return lines + [f"swept, left by a dead smoke run: {swept}" for swept in smoke.get("swept", ())]


def _reds(report: RunReport) -> list[str]:
    return [f"red: {test.id.rpartition('::')[2]}: {test.reason}" for test in report.tests if test.outcome in BAD]


def _not_verified(report: RunReport) -> list[str]:
    """What this page says nothing about, each reason once."""
    idle: dict[str, list[str]] = {}
    for test in report.tests:
        if test.outcome in (Outcome.SKIPPED, Outcome.BLOCKED):
            idle.setdefault(test.reason, []).append(test.id.rpartition("::")[2])
    return [f"{reason} ({', '.join(names)})" for reason, names in idle.items()]
