"""What a night leaves: the report of its run, mended when the run died; nightly.json; a page; a line in the history."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness import journal
from harness.config.revision import revision_of
from harness.config.settings import Settings
from harness.errors import EXIT_INTERRUPTED, EXIT_RED, RuntimeUnavailable
from harness.journal import FILE_NAME, Journal
from harness.load.growth import judge as judge_growth
from harness.model import Outcome
from harness.probes.usage import Usage
from harness.report import history, junit, summary
from harness.report.history import Flake
from harness.report.read import BAD, RunReport, summarise
from harness.report.verdict import judge

SHOWN = 20
"""How many of a kind the page names; nightly.json has all."""


@dataclass(frozen=True)
class Attempt:
    """One run of `harness test`: how its process ended (below zero: by that signal), and its reports directory."""

    code: int
    reports: Path

    @property
    def directory(self) -> Path:
        """The report of its run."""
        return self.reports / "latest"

    @cached_property
    def report(self) -> RunReport:
        """As far as it got."""
        return summarise(journal.read(self.directory / FILE_NAME))

    @property
    def never_began(self) -> bool:
        """An image or the engine could not be had, before any test: the only reason to try again."""
        return self.code == RuntimeUnavailable.exit_code and not self.report.tests

    @property
    def how(self) -> str:
        """In words."""
        if self.code >= 0:
            return f"exit code {self.code}"
        known = {item.value: item.name for item in signal.Signals}
        return f"killed by {known.get(-self.code, f'signal {-self.code}')}"


def write(directory: Path, attempts: Sequence[Attempt], settings: Settings) -> int:
    """Everything that a night leaves. Returns its exit code."""
    last = _mended(attempts[-1])
    revision = revision_of(settings.root)
    if last.report.tests:
        history.keep(history.past_of(last.report, revision), settings.root / settings["history"])
    found = history.flakes(history.read(settings.root / settings["history"]))
    code = _exit_code(last)
    data = {
        "exit_code": code,
        "cause": _cause(last, directory / f"console-{len(attempts)}.log") if code else "",
        "seed": settings["seed"],
        "revision": revision,
        "attempts": [{"exit": one.code, "how": one.how, "tests": len(one.report.tests)} for one in attempts],
        "report": os.path.relpath(last.directory.resolve(), directory),
        "flakes": [{"test": flake.test, "revision": flake.revision, "runs": flake.runs} for flake in found],
        "growth": _growth(last.directory / "soak.jsonl"),
        "not_verified": summary.not_verified(last.report),
    }
    (directory / "nightly.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    page = "\n".join(_page(last, attempts, code, found, data["growth"])) + "\n"
    (directory / "nightly.md").write_text(page, encoding="utf-8")
    print(page, end="", flush=True)
    print(f"nightly: {directory}")
    return code


def _mended(attempt: Attempt) -> Attempt:
    """A run that was killed has a journal and no report: it is made from what the journal tells, and red."""
    if attempt.code in (0, EXIT_INTERRUPTED) or not (attempt.directory / FILE_NAME).exists():
        return attempt
    if (attempt.directory / summary.FILE_NAME).exists():
        return attempt
    told = f"harness test ended before it was done: {attempt.how}"
    Journal(attempt.directory / FILE_NAME).write(journal.SESSION_ERROR, detail=told)
    mended = Attempt(attempt.code, attempt.reports)
    junit.write(mended.report, attempt.directory)
    summary.write(mended.report, attempt.directory)
    return mended


def _exit_code(last: Attempt) -> int:
    return last.code if last.code > 0 else judge(last.report).exit_code or (EXIT_RED if last.code else 0)


def _cause(last: Attempt, console: Path) -> str:
    """What the report says; for a run without tests the sentence that it ended with."""
    if last.report.tests or last.report.problems:
        return judge(last.report).cause
    lines = console.read_text(encoding="utf-8").splitlines() if console.exists() else []
    said = (line.removeprefix("harness: ") for line in reversed(lines) if line.startswith("harness: "))
    return next(said, judge(last.report).cause if last.report.services else last.how)


def _growth(series: Path) -> list[str]:
    """The judgements on the soak's series; empty when there was none."""
    if not series.exists():
        return []
    lines = [
        json.loads(line)["usage"] for line in series.read_text(encoding="utf-8").splitlines() if line.endswith("}")
    ]
    samples = [{name: Usage(**used) if used else None for name, used in line.items()} for line in lines]
    return [str(growth) for growth in judge_growth(samples)]


def _page(
    last: Attempt, attempts: Sequence[Attempt], code: int, found: Sequence[Flake], growth: Iterable[str]
) -> Iterable[str]:
    report = last.report
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in Outcome)
    yield f"# Nightly: {'green' if code == 0 else 'RED'} (exit {code})"
    yield f"\n{counts}, in {report.finished - report.started:.0f} s; {len(attempts)} attempt(s), {last.how}"
    services = ", ".join(dict.fromkeys(f"{item.name} {item.source} {item.version}" for item in report.services))
    yield f"\nAnswered: {services or 'nothing'}."
    yield from _section("Cause", [judge(report).cause] if judge(report).cause else [])
    yield from _section("Red", [f"{test.id}: {test.reason}" for test in report.tests if test.outcome in BAD])
    yield from _section("Changed their verdict without a change", list(map(str, found)))
    yield from _section("Soak", list(growth))
    yield from _section("Not verified", summary.not_verified(report))


def _section(title: str, lines: Sequence[str]) -> Iterable[str]:
    if lines:
        yield f"\n## {title}\n"
        yield from (f"- {line}" for line in lines[:SHOWN])
        yield from (f"- and {len(lines) - SHOWN} more",) if len(lines) > SHOWN else ()
