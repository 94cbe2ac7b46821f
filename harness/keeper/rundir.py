"""The directory of a running stack: its socket, its identity, its services' data. One per run, only for this user.

Not the report: that outlives the run, this does not.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.identity import Identity
from harness.runtimes.ssh import place

YOUNG = 30.0
"""Seconds in which a directory without an identity may still be about to get one."""

LOST_WITHIN = 2.0
"""Seconds until a keeper that was killed must be gone: freeing its memory takes a loaded machine a while."""


@dataclass(frozen=True)
class RunDir:
    """Paths inside one run's directory."""

    path: Path

    @property
    def run(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def socket(self) -> Path:
        """Where the keeper answers."""
        return self.path / "s"

    @property
    def owner(self) -> Path:
        """The keeper's identity."""
        return self.path / "keeper.json"

    @property
    def children(self) -> Path:
        """A line per process that the keeper started: its identity."""
        return self.path / "children.jsonl"

    @property
    def lost(self) -> Path:
        """There once the stack's engine is out of reach: why."""
        return self.path / "lost"

    @property
    def elsewhere(self) -> Path:
        """There when the stack is on another machine: the address of its engine."""
        return self.path / "elsewhere"

    def loss(self) -> str:
        """Why no service of the stack is reached any more; empty while they are."""
        if told := _text(self.lost):
            return told
        engine, keeper = _text(self.elsewhere), self.keeper()
        if not engine or keeper is None or keeper.alive:
            return ""
        return f"docker engine at {engine}: the ssh connection ended with the keeper of run {self.run}, which is gone"

    @property
    def log(self) -> Path:
        """What the keeper itself printed."""
        return self.path / "keeper.log"

    @property
    def age(self) -> float:
        """Seconds since something was last made in it; zero when it is gone, which its keeper may do at any moment."""
        try:
            return time.time() - self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def keeper(self) -> Identity | None:
        """Who owns this run; None when nobody has taken it yet."""
        try:
            return Identity.from_json(self.owner.read_text())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove(self) -> bool:
        """Delete everything. True when it is gone."""
        shutil.rmtree(self.path, ignore_errors=True)
        return not self.path.exists()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""


def state_root(configured: Path | None) -> Path:
    """The directory that holds the runs of this user, made when it is missing, mode 0700.

    Raises UsageError when it cannot be made or is somebody else's.
    """
    root = configured or Path(tempfile.gettempdir()) / f"infra-harness-{os.getuid()}"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        stat = root.stat()
    except OSError as error:
        raise UsageError(f"state directory {root}: {error.strerror}", "choose another with --state") from error
    if stat.st_uid != os.getuid():
        raise UsageError(f"state directory {root} belongs to user {stat.st_uid}", "choose another with --state")
    return root.resolve()


def new_run_id() -> str:
    """Sortable and unique: date, time, six random characters."""
    return time.strftime("%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(3)


def all_runs(root: Path) -> Iterator[RunDir]:
    """Every run directory, oldest first."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield RunDir(path)


def sweep(root: Path) -> list[str]:
    """Remove what dead runs left: their processes, then their directories. Returns the ids of what was swept.

    A run whose keeper lives is never touched, nor one that another container of this host owns.
    """
    swept = []
    for run in all_runs(root):
        keeper = run.keeper()
        if keeper is None and run.age < YOUNG:
            continue
        if keeper is not None and (keeper.alive or keeper.foreign):
            continue
        _kill_children(run)
        if run.remove():
            swept.append(run.run)
    place.sweep()  # a keeper's connection ended with it, and its sockets are left
    return swept


def sweep_lost(run: RunDir, within: float = LOST_WITHIN) -> None:
    """Sweep after a keeper that its client has lost. One that was killed may be named alive for a moment yet, so this
    waits for its end, at most `within` seconds; a keeper that lives on and is only mute keeps its directory."""
    deadline = time.monotonic() + within
    while (keeper := run.keeper()) is not None and keeper.alive and time.monotonic() < deadline:
        time.sleep(0.005)
    sweep(run.path.parent)


def _kill_children(run: RunDir) -> None:
    try:
        lines = run.children.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, ProcessLookupError, PermissionError):
            child = Identity.from_json(line)
            if child.alive:
                os.killpg(child.pid, signal.SIGKILL)
