"""One child process that cannot outlive its owner: own process group, killed by the kernel when the owner dies."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.errors import ServiceError
from harness.ports import Spawner

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SIG_IGN = 1
GONE_WITHIN = 5.0
"""Seconds a killed process may take to disappear; more means it hangs in the kernel."""


def become_subreaper() -> None:
    """Orphans of our children become our own children, so that none escapes. Linux only; raises OSError."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> Callable[[], None]:
    """What a child calls between fork and exec, so that the kernel kills it when this very thread's process dies."""
    libc, owner = ctypes.CDLL(None), os.getpid()

    def in_child() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # A write beyond the limit of file sizes then fails, as on a full disk, instead of ending the process.
        libc.signal(signal.SIGXFSZ, ctypes.c_void_p(SIG_IGN))
        if os.getppid() != owner:  # the parent died between fork and prctl
            os._exit(1)

    return in_child


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Child:
    """A process of one service. Every method may be called again without harm."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        log: Path,
        spawner: Spawner,
        stdin: str = "",
    ) -> None:
        self.command, self.environment, self.directory = tuple(command), dict(environment), directory
        self.log, self.stdin = log, stdin
        self._spawner = spawner
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._paused = False
        self._group_may_live = False

    @property
    def pid(self) -> int:
        """The process id, which is its group's id too; zero before the first launch."""
        return self._process.pid if self._process else 0

    @property
    def main_process(self) -> int:
        """Its number while it runs."""
        return self.pid if self.alive else 0

    @property
    def alive(self) -> bool:
        """Whether it runs; a paused one does."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start it, at first or again. Raises ServiceError when the program cannot be started."""
        with self._lock:
            if self.alive:
                return
            try:
                self._spawner(self._spawn)
            except OSError as error:
                raise ServiceError(f"{self.command[0]}: {error.strerror or error}", "is it executable?") from error

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=self.directory,
                stdin=subprocess.PIPE if self.stdin else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=die_with_parent(),  # one system call; nothing here takes a lock
            )
        self._paused, self._group_may_live = False, True
        if self.stdin and self._process.stdin:
            self._process.stdin.write(self.stdin.encode())
            self._process.stdin.close()

    def exit_report(self) -> str:
        """How it ended, in words; empty while it lives or before it was launched."""
        if self._process is None or self._process.poll() is None:
            return ""
        code = self._process.returncode
        return f"exited with code {code}" if code >= 0 else f"killed by {_signal_name(-code)}"

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait until it is gone. Raises ServiceError when it does not go."""
        with self._lock:
            self._signal(signal.SIGKILL)
            self._wait(GONE_WITHIN)
            self._sweep_group()

    def stop(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; returns when it is gone."""
        with self._lock:
            self.resume()
            self._signal(signal.SIGTERM)
            if self._process and not self._ended(grace):
                self._signal(signal.SIGKILL)
            self._wait(GONE_WITHIN)
            self._sweep_group()

    def pause(self) -> None:
        """SIGSTOP, and wait until the kernel says that it is stopped."""
        with self._lock:
            self._signal(signal.SIGSTOP)
            self._paused = True
            deadline = time.monotonic() + 1.0
            while self.alive and not self._is_stopped() and time.monotonic() < deadline:
                time.sleep(0.001)

    def resume(self) -> None:
        """SIGCONT."""
        with self._lock:
            if self._paused:
                self._signal(signal.SIGCONT)
                self._paused = False

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _is_stopped(self) -> bool:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return True

    def _ended(self, seconds: float) -> bool:
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _wait(self, seconds: float) -> None:
        if not self._ended(seconds):
            raise ServiceError(f"process {self.pid} ({self.command[0]}) did not die within {seconds:.0f} s of SIGKILL")

    def _sweep_group(self) -> None:
        """End what the process left in its group (a forked writer, a worker). Once per launch: later the number may be
        somebody else's."""
        if self._group_may_live and not self.alive:
            self._group_may_live = False
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


def _signal_name(number: int) -> str:
    known = {item.value: item.name for item in signal.Signals}
    return known.get(number, f"signal {number}")
