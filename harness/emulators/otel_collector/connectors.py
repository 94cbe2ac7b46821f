"""The shell that puts spanmetrics and servicegraph between pipelines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .failures import Failure
from .logs import Log
from .pipeline import Consumer
from .signals import METRICS, Data


@dataclass
class FlushingConnector:
    """Turns traces into metrics and passes them on every `interval` seconds (0: at once).

    `every` is another thing to do, with its own interval.
    """

    observe: Callable[[Data], None]
    collect: Callable[[], Data]
    next: Consumer
    log: Log
    interval: float
    every: tuple[float, Callable[[], None]] | None = None
    mutates: bool = False

    async def consume(self, data: Data) -> None:
        """Count the spans; nothing that follows can make this fail."""
        self.observe(data)
        if self.interval <= 0:
            await self.flush()

    async def flush(self) -> None:
        """Pass the metrics on."""
        data = self.collect()
        if not METRICS.count(data):
            return
        try:
            await self.next.consume(data)
        except Failure as failure:
            self.log.write("error", "connector/connector.go:180", "failed to flush metrics", error=failure.text)
