"""What flows: the consumer protocol, fan-out to several consumers, and the shell every simple processor shares."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.emulators.runner import note

from .failures import Failure
from .signals import Data, Signal
from .telemetry import Telemetry


class Consumer(Protocol):
    """Takes data or raises Failure. `mutates` says whether it changes what it is given."""

    mutates: bool

    async def consume(self, data: Data) -> None:
        """Take responsibility for `data`, or raise Failure."""
        ...


@dataclass
class FanOut:
    """Hands data to several consumers, a copy to each that changes it; all are asked, the first failure is raised."""

    consumers: Sequence[Consumer]
    mutates: bool = False

    async def consume(self, data: Data) -> None:
        """Give every consumer the data."""
        failures: list[Failure] = []
        for consumer in self.consumers:
            try:
                await consumer.consume(_copy(data) if consumer.mutates else data)
            except Failure as failure:
                failures.append(failure)
        if failures:
            raise failures[0]


def _copy(data: Data) -> Data:
    copied = type(data)()
    copied.CopyFrom(data)
    return copied


def fan_out(consumers: Sequence[Consumer]) -> Consumer:
    """One consumer for several."""
    return consumers[0] if len(consumers) == 1 else FanOut(consumers)


@dataclass
class Processor:
    """A processor that changes data in place and passes it on, counted as the Collector's processorhelper does.

    `change` returns False when nothing is left to pass on; it may raise Failure to refuse.
    """

    id: str
    signal: Signal
    telemetry: Telemetry
    change: Callable[[Data], bool]
    next: Consumer
    mutates: bool = True

    async def consume(self, data: Data) -> None:
        """Change and pass on."""
        labels = {"otel_signal": self.signal.name, "processor": self.id}
        self.telemetry.add("processor_incoming_items", self.signal.count(data), **labels)
        self.telemetry.add("processor_outgoing_items", 0, **labels)
        started = time.perf_counter()
        try:
            goes_on = self.change(data)
        finally:
            self.telemetry.record("processor_internal_duration", time.perf_counter() - started, **labels)
        if not goes_on:
            return
        self.telemetry.add("processor_outgoing_items", self.signal.count(data), **labels)
        await self.next.consume(data)


@dataclass
class PipelineEntry:
    """Where a pipeline begins; knows whether any of its processors changes data, and what stands in it."""

    first: Consumer
    mutates: bool
    parts: tuple[str, ...] = ()

    async def consume(self, data: Data) -> None:
        """Let data in."""
        for part in self.parts:
            note("otel_collector", part)
        await self.first.consume(data)
