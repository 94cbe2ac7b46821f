"""The composition root: from settings to a running stack. Used by the command line and by the pytest plugin.

The only place where settings, compose files, plan, runtimes and keeper meet.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import __version__
from harness.config import settings as config
from harness.config.settings import Settings
from harness.credentials import is_sensitive
from harness.errors import KeeperError, ReportError, RuntimeUnavailable, UsageError
from harness.journal import FILE_NAME, Journal
from harness.keeper import rundir
from harness.keeper.client import KeeperClient, Lifeline, Progress, RemoteStack, ignore, launch
from harness.keeper.identity import Identity
from harness.keeper.rundir import RunDir
from harness.model import RuntimeName, StackPlan


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

    def prepare(self) -> None:
        """Make the directories, after sweeping what dead runs left. Raises ReportError or UsageError."""
        if self.prepared and self.directory.path.exists():
            return
        rundir.sweep(self.directory.path.parent)
        try:
            self.directory.path.mkdir(mode=0o700, exist_ok=True)
            self.report.mkdir(parents=True, exist_ok=True)
            (self.report / FILE_NAME).touch()
            _point_latest(self.report)
        except OSError as error:
            self.directory.remove()
            where = f"reports directory {self.report}"
            raise ReportError(f"{where}: {error.strerror}", "choose another with --reports") from error


def load_settings(flags: Mapping[str, Any], root: Path | None = None) -> Settings:
    """All settings, the seed drawn when none was given. Raises UsageError."""
    loaded = config.load(flags, os.environ, root or Path.cwd())
    if loaded["seed"] is None:
        loaded = loaded.with_value("seed", secrets.randbelow(2**31), "drawn")
    return loaded


def new_run(settings: Settings) -> Run:
    """A run with a fresh id; nothing is made yet. Raises UsageError for a state directory that cannot serve."""
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


def plan_for(settings: Settings) -> tuple[StackPlan, str]:
    """The stack of these settings, and the words that say why this runtime. Raises HarnessError for bad input."""
    from harness import plan
    from harness.config import compose

    variables = plan.variables_for_run(os.environ)
    files = [path if path.is_absolute() else settings.root / path for path in settings["compose"]]
    read = compose.read(files, variables)
    choice = choose_runtime(settings)
    binaries = _find_binaries(settings, plan.bind_kinds(read)) if choice.runtime is RuntimeName.PROCESS else {}
    made = plan.make_plan(read, choice, binaries, settings["require_fidelity"], settings["ready_timeout"])
    return made, choice.reason


def choose_runtime(settings: Settings) -> Any:
    """The runtime: the one that was asked for, or what `auto` comes to here. Raises RuntimeUnavailable."""
    from harness.plan import Choice
    from harness.runtimes import RUNTIMES

    wanted = settings["runtime"]
    available = {name for name, _ in RUNTIMES}
    if wanted != "auto":
        name = RuntimeName(wanted)
        if name not in available:
            raise RuntimeUnavailable(f"runtime {wanted}: not part of this version", "use --runtime process")
        return Choice(name, f"asked for by {settings.origin('runtime')}")
    return Choice(RuntimeName.PROCESS, "auto: this version has no docker runtime")


def _find_binaries(settings: Settings, services: Mapping[str, Any]) -> dict[str, Any]:
    from harness.services import kind_named

    configured = dict(item.partition("=")[::2] for item in settings["binaries"])
    for kind in configured:
        kind_named(kind)
    return {
        name: kind_named(service.kind).find_binary(configured.get(service.kind, ""))
        for name, service in services.items()
        if service.kind
    }


# -- the stack of a run ---------------------------------------------------------------------------------------------


def ensure_keeper(run: Run, owner: Identity | None, lifeline: bool = False) -> Lifeline | None:
    """Have a keeper for this run, started by whoever comes first."""
    return launch(run.directory, owner, lifeline)


def connect(run: Run) -> KeeperClient:
    """A client of the run's keeper. Raises KeeperError."""
    return KeeperClient(run.directory)


def start_stack(
    run: Run, client: KeeperClient, plan: StackPlan, reason: str, progress: Progress = ignore
) -> RemoteStack:
    """Start the run's stack, or join it when somebody has started it. Failed services are told in their status."""
    return client.start(plan, run.report, _about(run, plan, reason), progress)


def _about(run: Run, plan: StackPlan, reason: str) -> dict[str, Any]:
    """What the journal's first event tells."""
    return {
        "run": run.id,
        "seed": run.seed,
        "runtime": plan.runtime,
        "reason": reason,
        "services": {name: {"kind": item.kind, "image": item.image} for name, item in plan.services.items()},
        "emulated": list(plan.emulated),
        "argv": [_public(word) for word in sys.argv],
        "version": __version__,
        "python": sys.version.split()[0],
        "ci": bool(os.environ.get("CI")),
    }


def _public(word: str) -> str:
    name, equals, _ = word.partition("=")
    return f"{name}=***" if equals and is_sensitive(name) else word


def running(settings: Settings) -> list[RunDir]:
    """The runs of this user whose keeper is alive, oldest first."""
    root = rundir.state_root(settings["state"])
    return [run for run in rundir.all_runs(root) if (keeper := run.keeper()) is not None and keeper.alive]


def pick_running(settings: Settings, run: str = "") -> RunDir:
    """The running stack of that id; the only one when no id is given. Raises UsageError or KeeperError."""
    found = running(settings)
    if run:
        found = [item for item in found if item.run == run]
    if not found:
        raise KeeperError(f"no stack {run or ''} is up".replace("  ", " "), "start one with `harness up`")
    if len(found) > 1:
        raise UsageError(f"{len(found)} stacks are up: {', '.join(item.run for item in found)}", "name one with --run")
    return found[0]
