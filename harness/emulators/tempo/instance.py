"""One Tempo: its parts put together, and which blocks a query of a time range goes through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, TracesData

from harness.emulators.runner import Defects
from harness.emulators.tempo.backend import Backend
from harness.emulators.tempo.blocks import Block
from harness.emulators.tempo.counters import Counters
from harness.emulators.tempo.distributor import Distributor
from harness.emulators.tempo.limits import Overrides
from harness.emulators.tempo.live_store import LiveStore
from harness.emulators.tempo.settings import Settings

Part = tuple[Block, int, int]
"""A block, and the range in seconds in which a trace of it must lie to be found there."""


class Instance:
    """State and timers. `clock` gives Unix seconds."""

    def __init__(self, settings: Settings, defects: Defects, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.defects = defects
        self.clock = clock
        self.counters = Counters()
        self.overrides = Overrides(settings.overrides, settings.overrides_file, settings.overrides_period)
        self.backend = Backend(settings, self.counters, defects)
        self.store = LiveStore(settings, self.counters, defects, self.backend.write)
        self.distributor = Distributor(settings, self.overrides, self.store, self.counters, defects)
        self.stopping = False
        self.closed = False
        self.starting: set[str] = {"server"}

    def open(self) -> None:
        """Bring back what earlier runs left. Raises OSError when a path cannot be written."""
        for path in (self.settings.live_wal, self.settings.blocks_path):
            Path(path).mkdir(parents=True, exist_ok=True)
        self.store.replay()
        self.tick()

    def tick(self) -> None:
        """Run every timer that is due."""
        now = self.clock()
        self.overrides.tick(now)
        self.store.tick(now)
        self.backend.tick(now)

    def stop(self) -> None:
        """Cut live traces to the log, as a graceful stop does.

        The real 3.0.3 hangs here for ever when a query came in the last 30 s (grafana/tempo#7967). That is a bug of
        its shutdown order, not something to build a test on, so it is left out.
        """
        self.stopping = True
        self.store.cut_all(self.clock())

    def ready(self) -> tuple[int, str]:
        """Status and body of `/ready`."""
        if self.stopping:
            return 503, "Application is stopping\n"
        if self.starting:
            return 503, f"Some services are not Running:\nStarting: {len(self.starting)}\nRunning: 15\n\n"
        return 200, "ready\n"

    # -- reading

    def visible(self, tenant: str) -> tuple[str, ...]:
        """The tenants whose data a request of `tenant` reads: itself, unless the seeded defect is on."""
        if "wrong-tenant" in self.defects:
            return tuple({tenant, *self.store.tenants()})
        return (tenant,)

    def find(self, tenant: str, trace_id: bytes) -> tuple[list[ResourceSpans], str]:
        """A trace by id with the place its first part lies in; nothing and "" when unknown.

        A block that is both here and in the backend counts once.
        """
        found: list[ResourceSpans] = []
        seen: dict[str, None] = {}
        for name in self.visible(tenant):
            for place, batches in self.store.find(name, trace_id):
                seen[place] = None
                found.extend(batches)
            for block in self.backend.readable(name, self.clock()):
                if block.block_id not in seen and trace_id in block.fragments:
                    seen[block.block_id] = None
                    for frame in block.fragments[trace_id]:
                        found.extend(TracesData.FromString(frame).resource_spans)
        found = found[:1] if "by-id-truncated" in self.defects else found
        return found, next(iter(seen), "")

    def parts(self, tenant: str, start: int = 0, end: int = 0) -> Iterator[Part]:
        """Where a search in `[start, end]` (Unix seconds, 0 0 for recent data) has to look.

        Blocks in the backend count only for the time before `query_backend_after`, so a young block that left the
        live store is not found.
        """
        recent = int(self.clock() - self.settings.query_backend_after)
        latest = int(self.clock() - self.settings.query_end_cutoff)
        start, end = start or recent, min(end or latest, latest)
        for name in self.visible(tenant):
            for blocks, low, high in (
                (self.store.searchable(name), max(start, recent), end),
                (self.backend.listed(name), start, min(end, recent)),
            ):
                if low < high:
                    yield from ((block, low, high) for block in blocks if block.overlaps(low, high))

    def jobs(self, start: int = 0, end: int = 0) -> int:
        """How many jobs such a search counts: its shards of recent data."""
        recent, now = int(self.clock() - self.settings.query_backend_after), int(self.clock())
        low, high = max(start or recent, recent), min(end or now, now)
        shards = self.settings.ingester_shards
        return min(shards, -(-(high - low) // max((high - low) // shards, 60))) if high > low else 0
