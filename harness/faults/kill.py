"""SIGKILL: a crash. Connections are reset, the address refuses, nothing is written any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.ports import Handle, Killable


@dataclass(frozen=True)
class Kill(Fault):
    """Undone by a start on the same address with the same data."""

    name: ClassVar[str] = "kill"
    needs: ClassVar[tuple[type, ...]] = (Handle, Killable)

    def on(self, target: Any) -> Injection:
        """Kill; start again without waiting."""
        return Injection(
            f"kill {target.name}", target.kill, lambda: target.start(wait=False), lambda: answering(target)
        )
