"""The link refuses connections, and those that live are closed: a port behind a closed door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.faults.base import LinkFault
from harness.ports import Linkable


@dataclass(frozen=True)
class LinkDown(LinkFault):
    """The only link fault that makes `connect()` itself fail."""

    name: ClassVar[str] = "link_down"
    also: ClassVar[tuple[str, ...]] = ("down",)

    def arm(self, link: Linkable) -> None:
        """Arm it."""
        link.cut()
