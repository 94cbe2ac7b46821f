"""A thin pipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.faults.base import LinkFault
from harness.ports import Linkable


@dataclass(frozen=True)
class Bandwidth(LinkFault):
    """`rate` in kilobytes per second, for answers and requests each."""

    name: ClassVar[str] = "bandwidth"
    rate: int = 1

    def arm(self, link: Linkable) -> None:
        """Arm it."""
        for stream in ("upstream", "downstream"):
            link.poison("bandwidth", stream, {"rate": self.rate})
