"""Starting a keeper: one process per run, whoever of many callers comes first, and the lifeline that it watches."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from harness.errors import KeeperError
from harness.identity import Identity
from harness.keeper.client import KeeperClient
from harness.keeper.rundir import RunDir

LAUNCH_WITHIN = 15.0
"""Seconds until a launched keeper answers. It needs a tenth of one; a loaded machine more."""


class Lifeline:
    """The pipe that a keeper watches, held by its owner. A forked child gives it up."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        if self.process.stdin:
            with suppress(OSError):
                self.process.stdin.close()

    def cut(self, within: float = 20.0) -> None:
        """Tell the keeper to end, and wait until it has."""
        self._forget()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired as error:
            raise KeeperError(f"the keeper (pid {self.process.pid}) did not end within {within:.0f} s") from error


def launch(
    run_dir: RunDir, owner: Identity | None, lifeline: bool = False, environment: Mapping[str, str] | None = None
) -> Lifeline | None:
    """Start a keeper unless one answers already; of many callers at once, one starts it. `environment` is what it has
    beside ours.

    Returns the lifeline when this call started the keeper with one. Raises KeeperError when it does not come up.
    """
    with _launch_lock(run_dir):
        if _answers(run_dir):
            return None
        process = _spawn(run_dir, owner, lifeline, environment or {})
        _wait_for(run_dir, process)
    if lifeline:
        return Lifeline(process)
    threading.Thread(target=process.wait, name="keeper-reaper", daemon=True).start()  # no zombie stays of it
    return None


@contextmanager
def _launch_lock(run_dir: RunDir) -> Iterator[None]:
    with (run_dir.path / "launch.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _answers(run_dir: RunDir) -> bool:
    try:
        KeeperClient(run_dir).disconnect()
    except KeeperError:
        return False
    return True


def _spawn(
    run_dir: RunDir, owner: Identity | None, lifeline: bool, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "harness.keeper.server", "--run-dir", str(run_dir.path)]
    command += ["--owner", owner.to_json()] if owner else []
    command += ["--lifeline"] if lifeline else []
    with run_dir.log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **environment},
        )


def _wait_for(run_dir: RunDir, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LAUNCH_WITHIN
    while not _answers(run_dir):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            printed = run_dir.log.read_text(errors="replace").strip().splitlines()[-5:] if run_dir.log.exists() else []
            raise KeeperError("the keeper did not come up: " + (" | ".join(printed) or f"exit {process.wait()}"))
        time.sleep(0.005)
