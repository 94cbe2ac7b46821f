"""Many callers in the same moment: what a lost update or a second holder needs to show."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")
GATHER_WITHIN = 5.0
"""Seconds in which all threads must have come to the start."""


def at_once(callers: int, work: Callable[[int], T]) -> list[T]:
    """What `work(0)`, `work(1)`, ... return when all callers start in the same moment; raises what the first one that
    failed raised."""
    barrier = Barrier(callers)

    def start(number: int) -> T:
        barrier.wait(GATHER_WITHIN)
        return work(number)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(start, range(callers)))
