"""What every sending exporter is made of: queue, own metrics, retry, and the push to the backend."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.emulators.runner import Defects

from .failures import Failure
from .logs import Log
from .retry import Retry
from .sending_queue import QueueFull, SendingQueue
from .signals import Data, Signal
from .telemetry import Telemetry

Push = Callable[[Data], Awaitable[None]]


@dataclass
class Exporter:
    """One exporter of one signal. `push` sends once or raises Failure; `queue` and `retry` are None when disabled.

    Conservation: what `consume` took is at any moment queued, in flight, sent, send_failed or enqueue_failed.
    """

    id: str
    signal: Signal
    push: Push
    telemetry: Telemetry
    log: Log
    defects: Defects
    queue: SendingQueue | None = None
    retry: Retry | None = None
    consumers: int = 0
    address: Mapping[str, str] = field(default_factory=dict)
    close: Callable[[], Awaitable[None]] | None = None
    mutates: bool = False
    failing: bool = field(default=False, init=False)
    in_flight: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the queue's consumers, which first resend what an earlier process left."""
        labels = {"data_type": self.signal.name, "exporter": self.id}
        self.telemetry.gauge("exporter_in_flight_requests", lambda: self.in_flight, **labels)
        queue = self.queue
        if not queue:
            return
        self.telemetry.gauge("exporter_queue_size", lambda: queue.size, **labels)
        self.telemetry.gauge("exporter_queue_capacity", lambda: queue.capacity, **labels)
        if queue.restored:
            self.log.write(
                "info", "queue/persistent_queue.go:184", "Loaded queue metadata",
                readIndex=min(queue.held), writeIndex=queue.next_key, itemsSize=queue.items(),
            )  # fmt: skip
        self.tasks = [asyncio.create_task(self._consume_queue(queue)) for _ in range(self.consumers)]

    async def hold(self) -> None:
        """A queue on disk dispatches no more; what still arrives is kept for the next process."""
        if self.queue and self.queue.storage:
            await self.queue.stop()

    async def stop(self) -> None:
        """Retry ends first, then the queue: memory gets one last try per request, disk is kept; then the connection."""
        if self.retry:
            self.retry.stop()
        if self.queue:
            await self.queue.stop()
            await asyncio.gather(*self.tasks)
            if self.queue.storage:
                self.queue.storage.close()
        if self.close:
            await self.close()

    async def consume(self, data: Data) -> None:
        """Queue the data, or send it at once when there is no queue. Raises Failure."""
        if not self.queue:
            return await self._send_now(data)
        try:
            await self.queue.offer(data)
        except QueueFull as full:
            if "queue_full_acknowledged" in self.defects:
                return None
            self.telemetry.add(
                f"exporter_enqueue_failed_{self.signal.items}", self.signal.count(data), exporter=self.id
            )
            self._drop(full, data, "Exporting failed. Rejecting data.", "rejected_items")
            raise
        self.telemetry.record("exporter_enqueue_size", self.signal.count(data), exporter=self.id)
        self.telemetry.record("exporter_enqueue_size_bytes", data.ByteSize(), exporter=self.id)
        return None

    async def _send_now(self, data: Data) -> None:
        try:
            await self._send(data)
        except Failure as failure:
            advice = "" if self.retry else " Try enabling retry_on_failure config option to retry on retryable errors."
            advice += " Try enabling sending_queue to survive temporary failures."
            self._drop(failure, data, f"Exporting failed. Rejecting data.{advice}", "rejected_items")
            raise

    async def _consume_queue(self, queue: SendingQueue) -> None:
        while found := await queue.take():
            key, data = found
            keep = False
            try:
                await self._send(data)
            except Failure as failure:
                keep = failure.shutdown and queue.storage is not None
                self._drop(failure, data, "Exporting failed. Dropping data.", "dropped_items")
            await queue.done(key, keep)

    async def _send(self, data: Data) -> None:
        count = self.signal.count(data)
        self.in_flight += 1
        try:
            if self.retry:
                await self.retry.send(lambda: self._push(data))
            else:
                await self._push(data)
        except Failure as failure:
            self._count_failure(count, failure)
            raise
        finally:
            self.in_flight -= 1
        self._count_sent(count)

    async def _push(self, data: Data) -> None:
        try:
            await self.push(data)
            if "duplicate_delivery" in self.defects:
                await self.push(data)
        except Failure:
            self.failing = True
            raise
        self.failing = False

    def _count_sent(self, count: int) -> None:
        self.telemetry.add(f"exporter_sent_{self.signal.items}", count, exporter=self.id, **self.address)

    def _count_failure(self, count: int, failure: Failure) -> None:
        if "counts_failed_as_sent" in self.defects:
            return self._count_sent(count)
        self._count_sent(0)
        labels: dict[str, Any] = {"exporter": self.id, **self.address}
        if self.telemetry.detailed:
            labels |= {"error_permanent": str(failure.permanent).lower(), "error_type": failure.error_type}
        self.telemetry.add(f"exporter_send_failed_{self.signal.items}", count, **labels)
        return None

    def _drop(self, failure: Failure, data: Data, message: str, word: str) -> None:
        caller = "internal/queue_sender.go:62" if word == "dropped_items" else "internal/base_exporter.go:119"
        self.log.write("error", caller, message, error=failure.text, **{word: self.signal.count(data)})
