"""Who leads, as each observer sees it: asked all the time beside the workload, every change kept with its moment.

An observer is a member of the cluster that can be asked: a Sentinel, a Consul server. Each has a thread and a
connection of its own, so one that hangs hides nothing from the others. One that does not answer has seen nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.experiments.measure import rounded

CALM, ALERT = 0.1, 0.01
"""Seconds between two questions to one observer: before the fault, and from then on (the resolution of a change)."""
SILENT = 0.05
"""Seconds to the next question after one that was not answered."""
STOP_WITHIN = 5.0


class Observer(Protocol):
    """One member of a cluster, used by one thread only."""

    def who(self) -> str:
        """The leader's name; empty when this member knows none. Raises anything when it does not answer."""
        ...

    def close(self) -> None:
        """Give back the connection."""
        ...


@dataclass(frozen=True)
class Leads:
    """Whom to ask for a role: `role` is what it is called (`primary`, `leader`), `observers` make one each by name."""

    role: str
    observers: Mapping[str, Callable[[], Observer]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One observer's new answer. `at` is its monotonic moment; `before` is empty for its first answer, `after` when it
    says that nobody leads."""

    at: float
    role: str
    seen_by: str
    before: str
    after: str

    def as_data(self, began: float) -> dict[str, Any]:
        """For the journal: seconds since `began`, to 10 ms."""
        return {"at": rounded(self.at - began), "role": self.role, "seen_by": self.seen_by, "before": self.before,
                "after": self.after}  # fmt: skip


class LeadWatch:
    """Asks all observers from `start` to `stop`; both may be repeated. Nothing to do without `leads`."""

    def __init__(self, leads: Leads | None, clock: Callable[[], float]) -> None:
        self._leads, self._clock = leads, clock
        self._lock = threading.Lock()
        self._changes: list[Change] = []
        self._ending, self._alert = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to ask."""
        made = self._leads.observers if self._leads and not self._threads else {}
        for name, make in made.items():
            thread = threading.Thread(target=self._watch, args=(name, make), name=f"leads-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def alert(self) -> None:
        """From now on a change is seen within 10 ms."""
        self._alert.set()

    def stop(self) -> None:
        """End; an observer that hangs is left behind, it is only asking."""
        self._ending.set()
        for thread in self._threads:
            thread.join(STOP_WITHIN)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All so far, in the order in which they were seen."""
        with self._lock:
            return tuple(self._changes)

    def _watch(self, name: str, make: Callable[[], Observer]) -> None:
        role, last = self._leads.role if self._leads else "", None
        observer = make()
        try:
            while not self._ending.is_set():
                try:
                    now = observer.who()
                except Exception:  # it may fail in any way while it is broken; then it has seen nothing
                    self._ending.wait(SILENT)
                    continue
                if now != last and (now or last):
                    with self._lock:
                        self._changes.append(Change(self._clock(), role, name, last or "", now))
                    last = now
                self._ending.wait(ALERT if self._alert.is_set() else CALM)
        finally:
            observer.close()


def failover_time(changes: Iterable[Change], fault: float) -> float | None:
    """Seconds from the fault until any observer named a leader that nobody had named before it; None when none did."""
    seen = list(changes)
    known = {change.after for change in seen if change.at < fault}
    moments = [change.at for change in seen if change.at >= fault and change.after and change.after not in known]
    return rounded(min(moments) - fault) if moments and known else None
