"""Asking every service at the same time, and giving up on those that are late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from harness.errors import BudgetSpent, HarnessError, NotReady
from harness.ports import Handle
from harness.probes.poll import Deadline

Answer = TypeVar("Answer")


class Outcome(Generic[Answer]):
    """What asking one service gave: an answer, or the error that was raised."""

    def __init__(self, answer: Answer | None, error: HarnessError | None) -> None:
        self.answer, self.error = answer, error


def at_once(
    handles: Mapping[str, Handle], question: Callable[[Handle], Answer], deadline: Deadline
) -> dict[str, Outcome[Answer]]:
    """Every service's outcome, in the order of `handles`. Never raises; one that is late has a BudgetSpent."""
    done: dict[str, Outcome[Answer]] = {}

    def ask(handle: Handle) -> None:
        try:
            done[handle.name] = Outcome(question(handle), None)
        except HarnessError as error:
            done[handle.name] = Outcome(None, error)
        except (
            Exception
        ) as error:  # whatever it is, it is this service's trouble, and the others are asked all the same
            done[handle.name] = Outcome(None, NotReady(f"{type(error).__name__}: {error}"))

    threads = [threading.Thread(target=ask, args=(handle,), daemon=True) for handle in handles.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.left)
    late = f"not reached: no answer within the budget of {deadline.budget:g} s"
    found = dict(done)  # a thread that is late may still write to `done`
    return {name: found.get(name) or Outcome(None, BudgetSpent(late, "see --budget")) for name in handles}
