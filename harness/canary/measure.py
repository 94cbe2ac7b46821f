"""Latency and recovery of two servers that are up at the same time, asked in turn: what disturbs one disturbs both."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from harness.canary.side import Side, blaming
from harness.keeper.client import RemoteHandle
from harness.ports import Handle
from harness.probes.poll import Deadline, poll
from harness.services import kind_named

BLOCK = 20
KILLS = 3
BACK_WITHIN = 60.0
"""Seconds after which a server that was killed counts as not coming back."""


def round_trips(both: Sequence[tuple[Side, Handle]], samples: int) -> list[list[float]]:
    """Seconds of `samples` round trips of each, a write and a read as in readiness, taken in alternating blocks.

    Raises SideFailed for the side that does not answer.
    """
    taken: list[list[float]] = [[] for _ in both]
    for first in range(0, samples, BLOCK):
        for (side, handle), seconds in zip(both, taken, strict=True):
            with blaming(side):
                seconds.extend(_block(handle, min(BLOCK, samples - first)))
    return taken


def _block(handle: Handle, count: int) -> Iterator[float]:
    kind = kind_named(handle.kind or "")
    for _ in range(count):
        started = time.perf_counter()
        kind.ready(handle)
        yield time.perf_counter() - started


def recoveries(side: Side, handle: RemoteHandle, kills: int = KILLS) -> list[float]:
    """Seconds from each SIGKILL until a write is read back again. Raises SideFailed when it does not come back."""
    with blaming(side):
        return [_recovery(handle) for _ in range(kills)]


def _recovery(handle: RemoteHandle) -> float:
    started = time.monotonic()
    handle.kill()
    handle.start(wait=False)
    poll(lambda: kind_named(handle.kind or "").ready(handle), Deadline.after(BACK_WITHIN), f"{handle.name} to be back")
    return time.monotonic() - started
