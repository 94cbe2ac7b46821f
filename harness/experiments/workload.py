"""The background workload: threads with clients of their own, at a bounded rate, from before the fault to after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from harness.errors import FaultError
from harness.experiments.history import History, Operation, Result, unless_refused

STOP_WITHIN = 15.0
"""Seconds that a client's last call may take; every client of ours has a shorter time-out."""


class Actor(Protocol):
    """One client of a workload, used by one thread only."""

    def step(self, number: int, record: Record) -> None:
        """Do the next operation (or a few) through `record`. `number` counts this actor's steps from zero."""
        ...

    def classify(self, error: Exception) -> Result:
        """What is known after this error. When in doubt, `info`."""
        ...

    def close(self) -> None:
        """Give back what the client holds."""
        ...


class Careful:
    """A base for actors without errors of their own to classify and nothing to close."""

    def step(self, number: int, record: Record) -> None:
        """Nothing: whoever has operations overrides it."""

    def classify(self, error: Exception) -> Result:
        """Nobody knows, unless it was refused."""
        return unless_refused(error)

    def close(self) -> None:
        """Nothing is held."""


class Record:
    """What an actor is handed: does a call and writes down how it ended, under the actor's name."""

    def __init__(self, history: History, client: str, actor: Actor) -> None:
        self._history, self.client, self._actor = history, client, actor

    def __call__(self, kind: str, key: str, value: Any, call: Callable[[], Any]) -> Operation:
        """With a `value` of None the call's answer is kept as the value (a read)."""
        return self._history.perform(kind, self.client, key, value, call, self._actor.classify)


@dataclass(frozen=True)
class Workload:
    """`actor` makes the client of one thread, given its number. Each thread does a step every `interval` seconds at
    most, and `most` steps in all, so that a history stays small enough to judge."""

    name: str
    actor: Callable[[int], Actor]
    clients: int = 2
    interval: float = 0.005
    most: int = 50_000


class RunningWorkload:
    """The threads of one workload. `start`, then `stop`; both may be repeated."""

    def __init__(self, workload: Workload, history: History) -> None:
        self.workload, self.history = workload, history
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._crashed: list[str] = []

    def start(self) -> None:
        """Make the clients and begin."""
        for number in range(self.workload.clients if not self._threads else 0):
            thread = threading.Thread(target=self._run, args=(number,), name=f"{self.workload.name}-{number}")
            thread.daemon = True
            self._threads.append(thread)
            thread.start()

    def stop(self, within: float = STOP_WITHIN) -> None:
        """End and wait. Raises FaultError when a thread did not end or an actor broke: its history is not whole."""
        self._ending.set()
        end = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        stuck = [thread.name for thread in self._threads if thread.is_alive()]
        if stuck:
            raise FaultError(f"workload clients did not end: {', '.join(stuck)}", "give their clients a time-out")
        if self._crashed:
            raise FaultError(f"workload {self.workload.name}: {self._crashed[0]}", "mend the actor")

    def _run(self, number: int) -> None:
        try:
            actor = self.workload.actor(number)
            try:
                self._steps(actor, Record(self.history, f"{self.workload.name}-{number}", actor))
            finally:
                actor.close()
        except Exception as error:  # told by `stop`, on the thread that can do something about it
            self._crashed.append(f"{type(error).__name__}: {error}")

    def _steps(self, actor: Actor, record: Record) -> None:
        next_at = time.monotonic()
        for number in range(self.workload.most):
            if self._ending.is_set():
                return
            actor.step(number, record)
            # Not made up for after a stall: a burst would hide how long the service did not answer.
            next_at = max(next_at + self.workload.interval, time.monotonic())
            self._ending.wait(max(0.0, next_at - time.monotonic()))
