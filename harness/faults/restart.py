"""Stop and start again at once: connections break, and the address refuses for a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.ports import Handle, Killable, Restartable


@dataclass(frozen=True)
class Restart(Fault):
    """Over by itself. Its undo starts the service where the restart failed, and it is checked like any other."""

    name: ClassVar[str] = "restart"
    needs: ClassVar[tuple[type, ...]] = (Handle, Killable, Restartable)

    def on(self, target: Any) -> Injection:
        """Restart; make sure that it runs."""
        return Injection(
            f"restart {target.name}",
            target.restart,
            lambda: target.start(wait=False),
            lambda: answering(target),
            heals_itself=True,
        )
