"""Every process frozen: the kernel goes on accepting connections, nothing answers. A hang, not a crash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.ports import Handle, Pausable


@dataclass(frozen=True)
class Pause(Fault):
    """SIGSTOP (processes) or the cgroup freezer (containers). Undone by letting it go on where it stood."""

    name: ClassVar[str] = "pause"
    needs: ClassVar[tuple[type, ...]] = (Handle, Pausable)

    def on(self, target: Any) -> Injection:
        """Freeze; thaw."""
        return Injection(f"pause {target.name}", target.pause, target.resume, lambda: answering(target))
