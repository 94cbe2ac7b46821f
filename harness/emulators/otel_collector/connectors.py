"""The shells that put spanmetrics, servicegraph and forward between pipelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .failures import Failure
from .logs import Log
from .pipeline import Consumer
from .servicegraph import ServiceGraph
from .signals import METRICS, Data
from .spanmetrics import SpanMetrics
from .telemetry import Telemetry


@dataclass
class Forward:
    """The forward connector: the end of one pipeline is the start of others."""

    next: Consumer
    mutates: bool = field(init=False)

    def __post_init__(self) -> None:
        self.mutates = self.next.mutates

    async def consume(self, data: Data) -> None:
        """Pass on."""
        await self.next.consume(data)


@dataclass
class FlushingConnector:
    """A connector that turns traces into metrics and passes them on every `interval` seconds (0: at once)."""

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


def span_metrics_connector(
    settings: Mapping[str, Any], telemetry: Telemetry, log: Log, below: Consumer
) -> FlushingConnector:
    """A spanmetrics connector."""
    state = SpanMetrics(settings, telemetry.instance_id)
    return FlushingConnector(state.observe, state.collect, below, log, settings["metrics_flush_interval"])


def service_graph_connector(
    settings: Mapping[str, Any], telemetry: Telemetry, log: Log, below: Consumer
) -> FlushingConnector:
    """A servicegraph connector; its edges expire on a timer of their own."""
    state = ServiceGraph(settings, telemetry)
    every = (max(settings["store_expiration_loop"], 0.05), state.expire)
    return FlushingConnector(state.observe, state.collect, below, log, settings["metrics_flush_interval"], every)
