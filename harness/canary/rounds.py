"""The tree on both sides, round by round, each a run of its own: a broken candidate breaks no more than its round."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import journal
from harness.canary.side import Side, SideFailed
from harness.model import Outcome
from harness.report.read import BAD, RunReport, summarise
from harness.report.verdict import judge

RAN = (0, 1)
"""Exit codes of a run that judged its tests: green, or some red."""


def tree(side: Side, reports: Path, number: int, flags: Sequence[str]) -> dict[str, bool]:
    """Whether each test that ran passed, by id. Raises SideFailed with the run's own words when it could not run."""
    directory = reports / f"{side.name}-{number}"
    command = [sys.executable, "-m", "harness.cli.main", "test", *flags, *side.flags, "--reports", str(directory)]
    done = subprocess.run(command, cwd=side.settings.root, capture_output=True, text=True, check=False)
    (reports / f"{side.name}-{number}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode not in RAN:
        said = done.stderr.strip() or _cause(directory)
        raise SideFailed.of(side, f"round {number}: `harness test` ended with {done.returncode}: {said}")
    return {test.id: test.outcome is Outcome.PASSED for test in _report(directory).tests if _ran(test.outcome)}


def _report(directory: Path) -> RunReport:
    return summarise(journal.read(directory / "latest" / journal.FILE_NAME))


def _cause(directory: Path) -> str:
    return judge(_report(directory)).cause if (directory / "latest").exists() else "it left no report"


def _ran(outcome: Outcome) -> bool:
    return outcome is Outcome.PASSED or outcome in BAD
