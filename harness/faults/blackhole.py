"""Everything that is sent is swallowed, both ways, and connections stay open: only a deadline ends a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.faults.base import LinkFault
from harness.ports import Linkable


@dataclass(frozen=True)
class Blackhole(LinkFault):
    """Connecting works, because the proxy accepts; nothing ever comes back. Mending closes the connections."""

    name: ClassVar[str] = "blackhole"

    def arm(self, link: Linkable) -> None:
        """Arm it."""
        link.poison("timeout", "upstream", {"timeout": 0})
        link.poison("timeout", "downstream", {"timeout": 0})
