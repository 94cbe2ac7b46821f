"""The sending queue of an exporter: bounded, in memory or on disk. What is dispatched counts until it is done."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from .failures import Failure
from .file_storage import StorageClient
from .signals import Data, Signal


class QueueFull(Failure):
    """The queue has no room; retryable for the client."""

    def __init__(self) -> None:
        super().__init__(None, "sending queue is full")


@dataclass
class SendingQueue:
    """Counted in requests. With a `storage`, they outlive the process until they are done."""

    signal: Signal
    capacity: int
    storage: StorageClient | None = None
    forgets_in_flight: bool = False
    stopped: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.waiting: deque[int] = deque()
        self.held: dict[int, Data] = {}
        self.changed = asyncio.Condition()
        self.next_key = 0
        for key, value in sorted(self.storage.values.items()) if self.storage else ():
            self._hold(key, self.signal.request.FromString(value))

    @property
    def restored(self) -> int:
        """Requests waiting; right after construction, those an earlier process left."""
        return len(self.waiting)

    @property
    def size(self) -> int:
        """Requests queued and in flight."""
        return len(self.held)

    def _hold(self, key: int, data: Data) -> None:
        self.held[key] = data
        self.waiting.append(key)
        self.next_key = max(self.next_key, key + 1)

    async def offer(self, data: Data) -> None:
        """Put data in. Raises QueueFull when there is no room."""
        async with self.changed:
            if self.size >= self.capacity:
                raise QueueFull
            if self.storage:
                self.storage.set(self.next_key, data.SerializeToString())
            self._hold(self.next_key, data)
            self.changed.notify_all()

    async def take(self) -> tuple[int, Data] | None:
        """The oldest waiting request, or None when the queue ended: emptied in memory, at once on disk."""
        async with self.changed:
            while True:
                if self.stopped and (self.storage or not self.waiting):
                    return None
                if self.waiting:
                    key = self.waiting.popleft()
                    if self.forgets_in_flight and self.storage:
                        self.storage.delete(key)
                    return key, self.held[key]
                await self.changed.wait()

    async def done(self, key: int, keep: bool = False) -> None:
        """A dispatched request is finished; with `keep` it stays on disk for the next process."""
        async with self.changed:
            del self.held[key]
            if self.storage and not keep:
                self.storage.delete(key)
            self.changed.notify_all()

    async def stop(self) -> None:
        """Take no more from disk; let consumers empty memory."""
        async with self.changed:
            self.stopped = True
            self.changed.notify_all()

    def items(self) -> int:
        """Spans, points or records queued and in flight."""
        return sum(self.signal.count(data) for data in self.held.values())
