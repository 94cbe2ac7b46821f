"""Deadlines by name, on a clock that tests can move. Real time always passes: nothing is shortened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable


class Timers:
    """Named one-shot timers on an asyncio loop. Setting a name again replaces its timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handles: dict[Hashable, asyncio.TimerHandle] = {}

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        return self._loop.time()

    def at(self, name: Hashable, delay: float, run: Callable[[], None]) -> None:
        """Call `run` in `delay` seconds, unless replaced or cancelled."""
        self.cancel(name)

        def fire() -> None:
            self._handles.pop(name, None)
            run()

        self._handles[name] = self._loop.call_later(delay, fire)

    def cancel(self, name: Hashable) -> None:
        """Forget a timer; unknown names are fine."""
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.cancel()
