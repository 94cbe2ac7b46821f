"""One toxic at work on one direction of one connection: its queue, its task, its waits.

Everything held lives in the queue and never in a local variable of the toxic, so the task can be cancelled at any
moment without losing a byte. That is what makes adding, updating and removing toxics plain synchronous steps.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from random import Random
from typing import Protocol

from harness.proxy.stream import Buffered, Bytes, Chunk, Cleanup, Ending, Toxic

BUFFER_BYTES = 64 * 1024
"""Held by a stage before its feeder has to wait. A single read may overshoot it once."""
CHUNK_COST = 256
"""Added to each chunk's size when judging fullness, so that a million tiny chunks count for the memory they take."""


class Outlet(Protocol):
    """What stands after a stage: the next stage, or the socket."""

    def full(self) -> bool:
        """Whether the feeder should wait before it puts more. Putting anyway is allowed and loses nothing."""

    def put(self, data: Bytes) -> None:
        """Take bytes; ignored after `finish`."""

    def finish(self, ending: Ending) -> None:
        """No more bytes will come. The first ending counts, later ones are ignored."""


class Host(Protocol):
    """What a stage asks of the direction it stands in."""

    def poke(self) -> None:
        """Room may have come or gone: everyone who waits for it looks again."""

    def reset(self) -> None:
        """End the connection with RST."""

    def fail(self, error: Exception) -> None:
        """A toxic broke: report it and end the connection."""


class Stage:
    """Runs a toxic as a `Stub`, and is the `Outlet` of the stage before it."""

    def __init__(self, toxic: Toxic, rng: Random, outlet: Outlet, host: Host) -> None:
        self.toxic = toxic
        self.rng = rng
        self.outlet = outlet
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Chunk] = deque()
        self._weight = 0
        self._limit = BUFFER_BYTES
        self._forwarded = 0
        self._ended: tuple[Ending, float] | None = None
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None

    # -- for the direction ------------------------------------------------------------------------------------

    def run(self, toxic: Toxic) -> None:
        """Start, or start again with new settings, which then judge everything that is held."""
        self.stop()
        self.toxic = toxic
        self._limit = toxic.buffer_size() if isinstance(toxic, Buffered) else BUFFER_BYTES
        if not self._closed:
            self._task = self._loop.create_task(self._work())

    def stop(self) -> None:
        """End the task and touch nothing that is held."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def retire(self) -> None:
        """Leave the chain: what is held moves on in order, unless the toxic cleans up otherwise."""
        self.stop()
        if isinstance(self.toxic, Cleanup):
            self.toxic.cleanup(self)
        while self._queue:
            self.outlet.put(self._take(None))
        if self._ended is not None and not self._closed:
            self.outlet.finish(self._ended[0])
        self._closed = True

    def poke(self) -> None:
        """Let a waiting toxic look again."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # -- as an outlet -----------------------------------------------------------------------------------------

    def full(self) -> bool:
        return self._weight >= self._limit

    def put(self, data: Bytes) -> None:
        if self._closed or self._ended is not None:
            return  # the stream was ended here by a toxic: what comes later has nowhere to go
        was_full = self.full()
        self._queue.append(Chunk(data, self.now()))
        self._weight += len(data) + CHUNK_COST
        self.poke()
        if self.full() and not was_full:
            self._host.poke()

    def finish(self, ending: Ending) -> None:
        if self._ended is None:
            self._ended = (ending, self.now())
            self.poke()

    # -- as a stub --------------------------------------------------------------------------------------------

    @property
    def forwarded(self) -> int:
        return self._forwarded

    def now(self) -> float:
        return self._loop.time()

    async def head(self) -> Chunk:
        while (chunk := self._head()) is None:
            await self._signal()
        return chunk

    async def head_before(self, moment: float) -> Chunk | None:
        alarm = self._loop.call_at(moment, self.poke) if moment != math.inf else None
        try:
            while (chunk := self._head()) is None and self.now() < moment:
                await self._signal()
        finally:
            if alarm is not None:
                alarm.cancel()
        return chunk

    async def until(self, moment: float) -> None:
        if moment == math.inf:
            await self._loop.create_future()
        await asyncio.sleep(max(0.0, moment - self.now()))

    async def forward(self, size: int | None = None) -> None:
        data = self._take(size)
        self._forwarded += len(data)
        self.outlet.put(data)
        while self.outlet.full():
            await self._signal()

    def drop(self) -> None:
        self._take(None)

    def close(self) -> None:
        self._pass_on(Ending.CLOSE)

    def reset(self) -> None:
        self._host.reset()

    # -- inside -----------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            await self.toxic.pipe(self)
        except Exception as error:  # not swallowed: the host logs it and ends the connection
            self._host.fail(error)
            return
        ended = self._ended if not self._queue else None
        self._pass_on(ended[0] if ended else Ending.CLOSE)

    def _pass_on(self, ending: Ending) -> None:
        if self._closed:
            return
        self._closed = True
        self._queue.clear()
        self._weight = 0
        self.outlet.finish(ending)
        self._host.poke()  # a closed stage takes anything, so its feeder need not wait any more

    def _head(self) -> Chunk | None:
        if self._queue:
            return self._queue[0]
        return Chunk(b"", self._ended[1]) if self._ended else None

    def _take(self, size: int | None) -> Bytes:
        was_full = self.full()
        data, at = self._queue.popleft()
        self._weight -= len(data) + CHUNK_COST
        if size is not None and size < len(data):
            rest = memoryview(data)[size:]  # a view, or cutting a large chunk into crumbs would copy it every time
            self._queue.appendleft(Chunk(rest, at))
            self._weight += len(rest) + CHUNK_COST
            data = memoryview(data)[:size]
        if was_full and not self.full():
            self._host.poke()
        return data

    async def _signal(self) -> None:
        self._wake = self._loop.create_future()
        await self._wake
