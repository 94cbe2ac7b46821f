"""The memory_limiter processor: refuses data while the process holds too much memory.

A Go heap and a Python process are not comparable, so what is measured is the resident size above that at start-up,
plus the few MiB an idle Collector's heap has. Soft limit, hard limit and their log lines follow the real one.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .failures import UNAVAILABLE, Failure
from .logs import Log
from .telemetry import resident_bytes

MIB = 1024 * 1024
IDLE_HEAP = 4 * MIB
"""Between the limits an idle real Collector was seen to accept at (soft 4.8 MiB) and to refuse at (soft 1 MiB)."""
CALLER = "memorylimiter/memorylimiter.go:301"


@dataclass
class MemoryLimiter:
    """`read` gives the bytes in use, `collect` frees what it can. `check` is to be called every `interval` seconds."""

    settings: Mapping[str, Any]
    log: Log
    read: Callable[[], int]
    collect: Callable[[], None]
    never_refuses: bool = False
    refusing: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        limit, spike = self.settings["limit_mib"] * MIB, self.settings["spike_limit_mib"] * MIB
        spike = spike or limit // 5
        self.hard, self.soft = limit, limit - spike
        self.log.write(
            "info", "memorylimiter/memorylimiter.go:77", "Memory limiter configured",
            limit_mib=limit // MIB, spike_limit_mib=spike // MIB, check_interval=self.interval,
        )  # fmt: skip

    @property
    def interval(self) -> float:
        """Seconds between checks."""
        return float(self.settings["check_interval"])

    def check(self) -> None:
        """Measure, collect when above a limit, and decide whether to refuse until the next check."""
        used = self.read()
        if used >= self.soft:
            kind, level = ("hard", "warn") if used >= self.hard else ("soft", "info")
            self._say(level, f"Memory usage is above {kind} limit. Forcing a GC.", used)
            self.collect()
            used = self.read()
            self._say("info", "Memory usage after GC.", used)
        above = used >= self.soft
        if above and not self.refusing:
            self._say("warn", "Memory usage is above soft limit. Refusing data.", used)
        if self.refusing and not above:
            self._say("info", "Memory usage back within limits. Resuming normal operation.", used)
        self.refusing = above

    def admit(self) -> None:
        """Raise the retryable Failure the real one answers with while memory is short."""
        if self.refusing and not self.never_refuses:
            raise Failure(UNAVAILABLE, "data refused due to high memory usage")

    def _say(self, level: str, message: str, used: int) -> None:
        self.log.write(level, CALLER, message, cur_mem_mib=used // MIB)


class ProcessMemory:
    """Memory this process took since it was started up, in bytes."""

    def __init__(self) -> None:
        self.base = resident_bytes()

    def read(self) -> int:
        """Bytes above the start, plus an idle Collector's heap."""
        return max(0, resident_bytes() - self.base) + IDLE_HEAP

    def collect(self) -> None:
        """Free garbage and give freed pages back to the system where the C library can."""
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
