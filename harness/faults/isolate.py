"""Off the network: nobody reaches it, it reaches nobody, and it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.ports import Handle, Isolatable


@dataclass(frozen=True)
class Isolate(Fault):
    """A runtime's own disconnect. Where there is none, links around the service do it for TCP."""

    name: ClassVar[str] = "isolate"
    needs: ClassVar[tuple[type, ...]] = (Handle, Isolatable)

    def on(self, target: Any) -> Injection:
        """Disconnect; connect again, on the same addresses."""
        return Injection(f"isolate {target.name}", target.isolate, target.rejoin, lambda: answering(target))
