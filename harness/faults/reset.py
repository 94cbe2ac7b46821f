"""Connections end with RST as soon as something is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.faults.base import LinkFault
from harness.ports import Linkable


@dataclass(frozen=True)
class Reset(LinkFault):
    """`after` milliseconds from the first chunk."""

    name: ClassVar[str] = "reset"
    after: int = 0

    def arm(self, link: Linkable) -> None:
        """Arm it."""
        link.poison("reset_peer", "upstream", {"timeout": self.after})
