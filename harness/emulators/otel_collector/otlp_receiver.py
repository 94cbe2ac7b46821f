"""The otlp receiver's core, shared by gRPC and HTTP: hand on, count as accepted or refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.emulators.runner import Defects

from .failures import UNAVAILABLE, Failure
from .pipeline import Consumer
from .signals import Data, Signal
from .telemetry import Telemetry


@dataclass
class OtlpReceiver:
    """One configured receiver. `consumers` maps a signal's name to the pipelines it feeds; the others are unknown."""

    id: str
    telemetry: Telemetry
    defects: Defects
    consumers: Mapping[str, Consumer]
    closed: bool = field(default=False, init=False)
    requests: int = field(default=0, init=False)
    active: int = field(default=0, init=False)

    def knows(self, signal: Signal) -> bool:
        """Whether a pipeline takes this signal from this receiver."""
        return signal.name in self.consumers

    async def accept(self, signal: Signal, data: Data, transport: str) -> None:
        """Pass a request on. Raises Failure when the pipeline refuses it; nothing was accepted then."""
        count = signal.count(data)
        if not count:
            return
        if self.closed:  # a kept-alive connection; what came now would arrive behind the last flush and be lost
            raise Failure(UNAVAILABLE, "the server is shutting down")
        self.requests += 1
        self.active += 1
        try:
            if "ack_without_consume" not in self.defects or self.requests % 10:
                await self.consumers[signal.name].consume(data)
        except Failure:
            self._record(signal, transport, refused=count)
            raise
        finally:
            self.active -= 1
        self._record(signal, transport, accepted=count)

    async def close(self, grace: float) -> None:
        """Let nothing more in, and wait up to `grace` seconds for what is under way."""
        self.closed = True
        deadline = time.monotonic() + grace
        while self.active and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    def _record(self, signal: Signal, transport: str, accepted: int = 0, refused: int = 0) -> None:
        for word, value in (("accepted", accepted), ("refused", refused), ("failed", 0)):
            name = f"receiver_{word}_{signal.items}"
            self.telemetry.add(name, value, receiver=self.id, transport=transport)
