"""The reports that are files: one module each with `write(report, directory)`, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.report import junit, page, summary
from harness.report.read import RunReport

WRITERS: tuple[Callable[[RunReport, Path], Path], ...] = (junit.write, summary.write, page.write)


def write_all(report: RunReport, directory: Path) -> tuple[Path, ...]:
    """Write every report into the directory and return their paths."""
    return tuple(write(report, directory) for write in WRITERS)
