"""SIGTERM: an orderly stop, as a deployment does. The service may finish what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.ports import Handle, Killable, Stoppable


@dataclass(frozen=True)
class Term(Fault):
    """`grace` is how many seconds it gets before SIGKILL; None for the service's own. Undone by a start."""

    name: ClassVar[str] = "term"
    needs: ClassVar[tuple[type, ...]] = (Handle, Killable, Stoppable)
    grace: float | None = None

    def on(self, target: Any) -> Injection:
        """Stop; start again without waiting."""
        return Injection(
            f"stop {target.name}",
            lambda: target.stop(self.grace),
            lambda: target.start(wait=False),
            lambda: answering(target),
        )
