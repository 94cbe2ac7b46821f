"""One run: its settings, the directory of its stack, the directory of its report; a stack on each of several engines.

Knows paths only: nothing is started here, and no engine is asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.config.settings import Settings
from harness.errors import ReportError, UsageError
from harness.journal import FILE_NAME, Journal
from harness.keeper import rundir
from harness.keeper.rundir import RunDir
from harness.runtimes.ssh.reach import as_reached


@dataclass(frozen=True)
class Run:
    """One run: its settings, the directory of its stack, the directory of its report. Paths only until `prepare`."""

    settings: Settings
    directory: RunDir
    report: Path

    @property
    def id(self) -> str:
        """The run's id."""
        return self.directory.run

    @property
    def seed(self) -> int:
        """The seed of everything random in the run."""
        return int(self.settings["seed"])

    @property
    def journal(self) -> Journal:
        """The run's journal."""
        return Journal(self.report / FILE_NAME)

    @property
    def prepared(self) -> bool:
        """Whether somebody has made its directories."""
        return (self.report / FILE_NAME).exists()

    @property
    def engine(self) -> str:
        """The engine that was named for its stack; empty for the one that the environment names."""
        named: tuple[str, ...] = self.settings["engines"]
        return named[0] if named else ""

    @property
    def environment(self) -> Mapping[str, str]:
        """What whoever starts something of this run has in its environment, beside the rest."""
        return {"DOCKER_HOST": as_reached(self.engine)} if self.engine else {}

    def of_engine(self, text: str) -> str:
        """A text about its stack, with the engine that was named for it."""
        return f"engine {self.engine}: {text}" if self.engine else text

    @property
    def stacks(self) -> tuple[Run, ...]:
        """A run per engine, each with a stack and a keeper of its own, all with this report. The first has this run's
        id; without several engines it is this run."""
        engines: tuple[str, ...] = self.settings["engines"]
        return tuple(self._on(number) for number in range(len(engines))) if len(engines) > 1 else (self,)

    def _on(self, number: int) -> Run:
        path, engine = self.directory.path, self.settings["engines"][number]
        directory = RunDir(path.with_name(f"{path.name}-e{number}")) if number else self.directory
        settings = self.settings.with_value("engines", (engine,), self.settings.origin("engines"))
        return Run(settings, directory, self.report)

    def prepare(self) -> None:
        """Make the directories, after sweeping what dead runs left. Raises ReportError or UsageError."""
        if self.prepared and self.directory.path.exists():
            return
        rundir.sweep(self.directory.path.parent)
        fresh = not self.directory.path.exists()  # else it is a running stack's, which we joined
        try:
            self.directory.path.mkdir(mode=0o700, exist_ok=True)
            self.report.mkdir(parents=True, exist_ok=True)
            (self.report / FILE_NAME).touch()
            _point_latest(self.report)
        except OSError as error:
            if fresh:
                self.directory.remove()
            where = f"reports directory {self.report}"
            raise ReportError(f"{where}: {error.strerror}", "choose another with --reports") from error


def new_run(settings: Settings, several: bool = False) -> Run:
    """A run with a fresh id; nothing is made yet. Raises UsageError for a state directory that cannot serve, and for
    engines in a number that the caller has no use for: it starts `several` stacks, or one."""
    if len(settings["engines"]) > 1 and not several:
        raise UsageError(
            f"{len(settings['engines'])} engines by {settings.origin('engines')}: expected one, for there is one stack",
            "name one; tests are sharded over several by `harness test`, `harness nightly` and pytest",
        )
    directory = RunDir(rundir.state_root(settings["state"]) / rundir.new_run_id())
    reports: Path = settings["reports"]
    return Run(settings, directory, (settings.root / reports / directory.run).absolute())


def join_run(settings: Settings, directory: Path, report: Path) -> Run:
    """A run that another process of ours made."""
    return Run(settings, RunDir(directory), report)


def _point_latest(report: Path) -> None:
    temporary = report.parent / f".latest-{report.name}-{os.getpid()}"
    temporary.symlink_to(report.name)
    temporary.replace(report.parent / "latest")
