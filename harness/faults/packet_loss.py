"""Packets dropped by the kernel: TCP sends them again, so it shows as jitter and stalls, and UDP loses them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.base import Fault, Injection
from harness.ports import Handle, Lossy
from harness.probes.answer import answers
from harness.probes.poll import NotYet

SENT_AGAIN = 0.19
"""Seconds: Linux waits 0.2 s at least before it sends a packet again (TCP_RTO_MIN)."""
ANSWER = 2
"""Packets that a server sends at least in one exchange: it accepts, it answers."""
MISSED = 1e-6
"""How likely a loss may go unseen; for a loss below one percent it may be more, because of `MOST`."""
MOST = 700


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
            lambda: self._whole(target),
        )

    def _whole(self, target: Handle) -> None:
        """So many exchanges, each quicker than TCP would send a lost packet again, that this loss would have shown."""
        kept = 1 - min(self.percent, 99.0) / 100
        for _ in range(min(MOST, math.ceil(math.log(MISSED) / math.log(kept**ANSWER)))):
            began = time.monotonic()
            answers(target.endpoint())
            if (took := time.monotonic() - began) > SENT_AGAIN:
                raise NotYet(f"{target.name}: an exchange took {took:.2f} s")
