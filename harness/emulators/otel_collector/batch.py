"""The batch processor: collects items up to a size or a time. What it holds exists in memory only."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .failures import Failure
from .logs import Log
from .pipeline import Consumer
from .signals import Data, Signal
from .telemetry import Telemetry


@dataclass
class Batch:
    """The pending items, without time. `size` triggers a send, `limit` (0: none) splits one."""

    signal: Signal
    size: int
    limit: int
    count: int = 0

    def __post_init__(self) -> None:
        self.pending = self.signal.request()

    def add(self, data: Data) -> None:
        """Take a copy of the items in."""
        self.pending.MergeFrom(data)
        self.count += self.signal.count(data)

    def full(self, timed: bool) -> bool:
        """Whether a batch must leave now; without a timer everything leaves at once."""
        return self.count > 0 and (not timed or self.count >= self.size)

    def cut(self) -> Data:
        """Take the next batch out."""
        if 0 < self.limit < self.count:
            data, self.pending = self.signal.split(self.pending, self.limit)
        else:
            data, self.pending = self.pending, self.signal.request()
        self.count -= self.signal.count(data)
        return data


@dataclass
class BatchProcessor:
    """The processor of one pipeline: a queue of as many requests as there are CPUs, and one task that sends."""

    id: str
    signal: Signal
    settings: Mapping[str, Any]
    telemetry: Telemetry
    log: Log
    next: Consumer
    loses_on_shutdown: bool = False
    mutates: bool = False
    task: asyncio.Task[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.batch = Batch(self.signal, self.settings["send_batch_size"], self.settings["send_batch_max_size"])
        self.timeout = float(self.settings["timeout"])
        self.timed = self.timeout > 0 and self.batch.size > 0
        self.arrived: asyncio.Queue[Data | None] = asyncio.Queue(os.cpu_count() or 1)
        self.telemetry.gauge("processor_batch_metadata_cardinality", lambda: 1, processor=self.id)

    async def consume(self, data: Data) -> None:
        """Take data over; waits while the task is busy with a blocking exporter."""
        await self.arrived.put(data)

    def start(self) -> None:
        """Begin to send."""
        self.task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send what is pending and end."""
        if self.task:
            await self.arrived.put(None)
            await self.task

    async def _run(self) -> None:
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                data = await self._next(deadline)
            except TimeoutError:
                await self._send("timeout") if self.batch.count else None
                deadline = time.monotonic() + self.timeout
                continue
            if data is None:
                break
            self.batch.add(data)
            while self.batch.full(self.timed):
                await self._send("size")
                deadline = time.monotonic() + self.timeout
        if self.batch.count and not self.loses_on_shutdown:
            await self._send("timeout")

    async def _next(self, deadline: float) -> Data | None:
        if not self.arrived.empty():
            return self.arrived.get_nowait()
        wait = max(0.0, deadline - time.monotonic()) if self.timed else None
        return await asyncio.wait_for(self.arrived.get(), wait)

    async def _send(self, trigger: str) -> None:
        data = self.batch.cut()
        count, size = self.signal.count(data), data.ByteSize()
        try:
            await self.next.consume(data)
        except Failure as failure:
            self.log.write("warn", "batchprocessor/batch_processor.go:271", "Sender failed", error=failure.text)
            return
        self.telemetry.add(
            f"processor_batch_{'timeout' if trigger == 'timeout' else 'batch_size'}_trigger_send", 1, processor=self.id
        )
        self.telemetry.record("processor_batch_batch_send_size", count, processor=self.id)
        self.telemetry.record("processor_batch_batch_send_size_bytes", size, processor=self.id)
