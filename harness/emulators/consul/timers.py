"""Deadlines by name, on a clock that tests can move. Real time always passes: nothing is shortened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Protocol


class Timers(Protocol):
    """A monotonic clock and named one-shot timers. Setting a name again replaces its timer."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    def at(self, name: Hashable, delay: float, run: Callable[[], None]) -> None:
        """Call `run` in `delay` seconds, unless replaced or cancelled."""

    def cancel(self, name: Hashable) -> None:
        """Forget a timer; unknown names are fine."""


class LoopTimers:
    """Timers on the running asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handles: dict[Hashable, asyncio.TimerHandle] = {}

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    def at(self, name: Hashable, delay: float, run: Callable[[], None]) -> None:
        """See `Timers.at`."""
        self.cancel(name)
        self._handles[name] = self._loop.call_later(delay, self._fire, name, run)

    def _fire(self, name: Hashable, run: Callable[[], None]) -> None:
        self._handles.pop(name, None)
        run()

    def cancel(self, name: Hashable) -> None:
        """See `Timers.cancel`."""
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.cancel()
