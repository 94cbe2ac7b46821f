"""Whether this machine itself stood still meanwhile: time that passed for nobody says nothing about the service.

A machine short of memory, a paused virtual machine or a starved scheduler stops workload, observer and clock alike.
What was late then, was late for a reason that the experiment did not make, so it is unknown: neither a pass nor a red.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from harness.experiments.verdicts import Finding
from harness.model import Verdict

STILL = 0.5
"""Seconds from which on it counts: what budgets and deadlines allow for a loaded machine."""
TICK = 0.02
STOP_WITHIN = 5.0


class Standstill:
    """Looks at the clock every 20 ms, from `start` to `stop`; both may be repeated."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._ending = clock, threading.Event()
        self._thread: threading.Thread | None = None
        self.longest = 0.0
        """Seconds that the longest look came too late."""

    def start(self) -> None:
        """Begin to look."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="standstill", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more; `longest` is final then."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN)

    def _watch(self) -> None:
        last = self._clock()
        while not self._ending.wait(TICK):
            now = self._clock()
            self.longest, last = max(self.longest, now - last - TICK), now


def excused(findings: Iterable[Finding], longest: float) -> list[Finding]:
    """The findings, those unknown that only say that something was late, where the machine stood still for so long.
    What was lost, stale or held twice stays what it is."""
    return [_excused(found, longest) if longest >= STILL else found for found in findings]


def _excused(found: Finding, longest: float) -> Finding:
    if not found.timed or found.verdict is not Verdict.INVALID:
        return found
    summary = f"{found.summary}; this machine itself stood still for {longest:.1f} s, run it again"
    return replace(found, verdict=Verdict.UNKNOWN, summary=summary)
