"""retry_on_failure: exponential back-off with jitter, a deadline, and the backend's own wish for peace."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.emulators.go_durations import format_seconds

from .failures import Failure
from .logs import Log


@dataclass
class Backoff:
    """The delays (seconds) between attempts: `interval` grows by `multiplier` up to `ceiling`, spread by `jitter`."""

    interval: float
    ceiling: float
    multiplier: float
    jitter: float
    pick: Callable[[], float] = random.random

    def next(self) -> float:
        """The next delay."""
        spread = self.interval * self.jitter
        delay = self.interval - spread + 2 * spread * self.pick()
        self.interval = min(self.interval * self.multiplier, self.ceiling)
        return delay


@dataclass
class Retry:
    """Repeats a send until it works, is refused for good, has no time left, or the Collector stops."""

    settings: Mapping[str, Any]
    log: Log
    clock: Callable[[], float] = time.monotonic
    ignores_retry_info: bool = False
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Raises the last Failure, with the prefix the real one puts before it."""
        settings = self.settings
        backoff = Backoff(
            settings["initial_interval"],
            settings["max_interval"],
            settings["multiplier"],
            settings["randomization_factor"],
        )
        longest = settings["max_elapsed_time"]
        deadline = self.clock() + longest if longest > 0 else float("inf")
        while True:
            try:
                return await attempt()
            except Failure as failure:
                if failure.permanent:
                    raise failure.wrapped("not retryable error") from failure
                delay = backoff.next()
                if failure.retry_after is not None and not self.ignores_retry_info:
                    delay = max(delay, failure.retry_after)
                if self.clock() + delay > deadline:
                    raise failure.wrapped("no more retries left") from failure
                self._say(failure, delay)
                if await self._interrupted(delay):
                    raise failure.wrapped("interrupted due to shutdown", shutdown=True) from failure

    def stop(self) -> None:
        """End every wait; no further attempt follows a failed one."""
        self.stopped.set()

    async def _interrupted(self, delay: float) -> bool:
        try:
            await asyncio.wait_for(self.stopped.wait(), delay)
        except TimeoutError:
            return False
        return True

    def _say(self, failure: Failure, delay: float) -> None:
        self.log.write(
            "info", "internal/retry_sender.go:133", "Exporting failed. Will retry the request after interval.",
            error=failure.text, interval=format_seconds(delay),
        )  # fmt: skip
