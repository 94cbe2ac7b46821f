"""Packets dropped by the kernel: TCP sends them again, so it shows as jitter and stalls, and UDP loses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.ports import Handle, Lossy


@dataclass(frozen=True)
class PacketLoss(Fault):
    """`percent` of what the service sends. Needs a kernel that may be told so, in the service's own namespace."""

    name: ClassVar[str] = "packet_loss"
    needs: ClassVar[tuple[type, ...]] = (Handle, Lossy)
    percent: float = 30.0

    def on(self, target: Any) -> Injection:
        """Drop; deliver."""
        return Injection(
            f"{self.percent:g} % packet loss on {target.name}",
            lambda: target.lose_packets(self.percent),
            target.keep_packets,
            lambda: answering(target),
        )
