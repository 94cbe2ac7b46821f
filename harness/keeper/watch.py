"""Watching an owner: by a lifeline pipe and by a pidfd, because a forked child can hold the pipe open for ever."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from queue import Empty, SimpleQueue

from harness.identity import Identity


class MainLoop:
    """The keeper's main thread: waits for the end of its owner, and runs what has to run on this thread meanwhile.

    A child started here dies with this thread, so with the process; one started from a worker thread would be
    killed when that thread ends (PR_SET_PDEATHSIG watches threads).
    """

    def __init__(self, owner: Identity | None, lifeline: int | None) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)
        self._lifeline, self._reason = lifeline, ""
        self._pidfd: int | None = None
        if owner is not None:
            self._pidfd = _open(owner)
            if self._pidfd is None:
                self._reason = "owner was gone before the keeper began"

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` on the main thread. Callable from any thread; returns at once."""
        self._jobs.put(job)
        self._wake()

    def end(self, reason: str) -> None:
        """Make `run` return with this reason."""
        self._reason = self._reason or reason
        self._wake()

    def release(self) -> None:
        """Stop watching the owner: the stack is to be kept."""
        self._lifeline = self._pidfd = None
        self._wake()

    def run(self) -> str:
        """Until the owner is gone or `end` is called. Returns why."""
        while not self._reason:
            watched = [fd for fd in (self._wake_reader, self._lifeline, self._pidfd) if fd is not None]
            readable, _, _ = select.select(watched, [], [])
            if self._pidfd in readable:
                self.end("owner died")
            if self._lifeline in readable and not os.read(self._lifeline or 0, 1):
                self.end("owner closed its lifeline")
            if self._wake_reader in readable:
                os.read(self._wake_reader, 4096)
            self._run_jobs()
        return self._reason

    def drain(self, finished: Callable[[], bool]) -> None:
        """Go on running jobs until `finished`: closing a stack may need the main thread too."""
        while not finished():
            select.select([self._wake_reader], [], [], 0.02)
            self._run_jobs()

    def _run_jobs(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
            job()

    def _wake(self) -> None:
        try:
            os.write(self._wake_writer, b"x")
        except BlockingIOError:
            return  # the pipe is full of wake-ups already


def _open(owner: Identity) -> int | None:
    """A pidfd of the very process meant, or None when it is gone."""
    try:
        descriptor = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        return None
    if owner.alive:  # the number may have been reused before the descriptor was opened
        return descriptor
    os.close(descriptor)
    return None
