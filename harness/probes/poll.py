"""Asking a question until it is answered: one deadline, every 50 ms, over at once when the asked one has died."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from harness.errors import NotReady, ServiceExited

INTERVAL = 0.05
"""Seconds between two questions. Readiness of a fast service is measured to this."""

Answer = TypeVar("Answer")


class NotYet(Exception):
    """The question was asked and the answer is not there yet. The text says what was seen."""


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock that several waits may share."""

    at: float
    budget: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment `seconds` from now."""
        return cls(time.monotonic() + seconds, seconds)

    @property
    def left(self) -> float:
        """Seconds until then, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the moment has passed."""
        return self.left == 0.0


def poll(
    question: Callable[[], Answer],
    deadline: Deadline,
    what: str,
    died: Callable[[], str] = lambda: "",
    interval: float = INTERVAL,
    expected: tuple[type[Exception], ...] = (NotYet, OSError),
) -> Answer:
    """Ask until `question` returns, and give its answer.

    It says "not yet" by raising one of `expected`; any other exception is a fault of the question and passes on.
    `died` returns how the asked one ended, or an empty text while it lives.
    Raises ServiceExited when it died, NotReady at the deadline with what was last seen and how often it was asked.
    """
    started, attempts, last = time.monotonic(), 0, "nothing was asked"
    while True:
        if ending := died():
            raise ServiceExited(f"{what}: {ending}")
        attempts += 1
        try:
            return question()
        except expected as seen:
            last = str(seen) or type(seen).__name__
        if deadline.over:
            waited = time.monotonic() - started
            raise NotReady(f"{what}: not after {waited:.1f} s and {attempts} attempts; last seen: {last}")
        time.sleep(min(interval, max(deadline.left, 0.001)))
