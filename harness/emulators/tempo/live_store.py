"""Recent traces: live ones in memory, cut ones in the write-ahead log, finished blocks until the backend has them.

A live trace is readable by id at once and searchable once cut, when it was idle for `max_trace_idle` or live for
`max_trace_live` as seen every `flush_check_period`. A kill loses live traces and nothing else.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, TracesData

from harness.emulators.runner import Defects
from harness.emulators.tempo import blocks
from harness.emulators.tempo.blocks import Block
from harness.emulators.tempo.counters import Counters
from harness.emulators.tempo.limits import Limits
from harness.emulators.tempo.settings import Settings
from harness.emulators.tempo.spans import store_form

log = logging.getLogger("tempo.live_store")


@dataclass(slots=True)
class LiveTrace:
    """A trace still being received; times in Unix seconds, size in bytes."""

    created: float
    touched: float
    size: int = 0
    batches: list[ResourceSpans] = field(default_factory=list)


@dataclass(slots=True)
class Tenant:
    """What one tenant has in the store."""

    live: dict[bytes, LiveTrace] = field(default_factory=dict)
    head: Block | None = None
    waiting: list[Block] = field(default_factory=list)
    complete: list[Block] = field(default_factory=list)

    def searchable(self) -> list[Block]:
        """Its blocks, newest first."""
        head = [self.head] if self.head else []
        return [*head, *reversed(self.waiting), *reversed(self.complete)]


class LiveStore:
    """The store. `tick` does the work of its timers; `flush` hands a finished block to the backend."""

    def __init__(
        self, settings: Settings, counters: Counters, defects: Defects, flush: Callable[[Block], None]
    ) -> None:
        self._settings = settings
        self._counters = counters
        self._defects = defects
        self._flush = flush
        self._tenants: dict[str, Tenant] = {}
        self._next_check = 0.0
        self._next_cleanup = 0.0

    # -- writing

    def push(self, tenant: str, trace_id: bytes, batches: list[ResourceSpans], limits: Limits, now: float) -> str:
        """Take the spans of one trace. Returns why they were dropped, or nothing."""
        store = self._tenants.setdefault(tenant, Tenant())
        size = sum(batch.ByteSize() for batch in batches)
        trace = store.live.get(trace_id)
        if trace is None and limits.max_traces and len(store.live) >= limits.max_traces:
            return "live_traces_exceeded"
        if limits.max_trace_bytes and (trace.size if trace else 0) + size > limits.max_trace_bytes:
            return "trace_too_large"
        if trace is None:
            trace = store.live[trace_id] = LiveTrace(now, now)
            self._counters.add("tempo_live_store_traces_created_total", tenant=tenant)
        trace.touched = now
        trace.size += size
        trace.batches.extend(batches)
        self._counters.add("tempo_live_store_bytes_received_total", size, data_type="trace", tenant=tenant)
        return ""

    # -- reading

    def tenants(self) -> tuple[str, ...]:
        """Every tenant that sent something."""
        return tuple(self._tenants)

    def searchable(self, tenant: str) -> list[Block]:
        """The tenant's blocks, newest first."""
        store = self._tenants.get(tenant)
        return store.searchable() if store else []

    def live_traces(self, tenant: str) -> int:
        """How many traces are live."""
        return len(self._tenants[tenant].live) if tenant in self._tenants else 0

    def find(self, tenant: str, trace_id: bytes) -> Iterator[tuple[str, list[ResourceSpans]]]:
        """The parts of a trace, oldest first, each with the place it was found in."""
        store = self._tenants.get(tenant)
        if store is None:
            return
        for block in reversed(store.searchable()):
            for frame in block.fragments.get(trace_id, ()):
                yield block.block_id, list(TracesData.FromString(frame).resource_spans)
        live = store.live.get(trace_id)
        if live and "live-not-by-id" not in self._defects:
            yield "live", live.batches

    # -- timers

    def tick(self, now: float) -> None:
        """Cut, complete, flush and clean up whatever is due at `now`."""
        if now >= self._next_check:
            self._next_check = now + self._settings.flush_check_period
            for name, store in self._tenants.items():
                self._complete(store)
                self._cut_idle(name, store, now)
                self._cut_block(store, now)
        if now >= self._next_cleanup:
            self._next_cleanup = now + self._settings.flush_op_timeout
            for store in self._tenants.values():
                self._clean(store, now)

    def _cut_idle(self, name: str, store: Tenant, now: float, *, everything: bool = False) -> None:
        if "stuck-flush" in self._defects:
            return
        idle, age = self._settings.max_trace_idle, self._settings.max_trace_live
        for trace_id, trace in list(store.live.items()):
            if everything or now - trace.touched >= idle or now - trace.created >= age:
                del store.live[trace_id]
                self._append(name, store, trace, now)
        if store.head and store.head.directory and store.head.directory.exists():
            blocks.write_meta(store.head, store.head.directory)
        self._counters.set("tempo_live_store_live_traces", len(store.live), tenant=name)
        size = sum(trace.size for trace in store.live.values())
        self._counters.set("tempo_live_store_live_trace_bytes", size, tenant=name)

    def _append(self, name: str, store: Tenant, trace: LiveTrace, now: float) -> None:
        data = TracesData(resource_spans=trace.batches)
        starts, ends, rooted = [], [], False
        for resource in data.resource_spans:
            store_form(resource)
            for scoped in resource.scope_spans:
                for span in scoped.spans:
                    starts.append(span.start_time_unix_nano)
                    ends.append(span.end_time_unix_nano)
                    rooted = rooted or not span.parent_span_id.strip(b"\0")
        if not rooted:
            self._counters.add("tempo_warnings_total", reason="rootless_trace_flushed_to_wal", tenant=name)
        slack = self._settings.ingestion_slack
        low, high = (int(max(now - slack, min(now + slack, edge / 1e9))) for edge in (min(starts), max(ends)))
        if store.head is None:
            block_id = str(uuid.uuid4())
            directory = self._settings.live_wal / f"{block_id}+{name}+vParquet4"
            store.head = Block(block_id, name, directory, now)
        durable = "wal-not-written" not in self._defects
        store.head.append(data.SerializeToString(), low, high, durable=durable)

    def _cut_block(self, store: Tenant, now: float) -> None:
        head = store.head
        if head is None:
            return
        old = now - head.created >= self._settings.max_block_duration
        if old or head.size >= self._settings.max_block_bytes:
            reason = "max_block_duration" if old else "max_block_bytes"
            self._counters.add("tempo_live_store_blocks_cut_total", reason=reason)
            store.head = None
            store.waiting.append(head)

    def _complete(self, store: Tenant) -> None:
        for block in list(store.waiting):
            store.waiting.remove(block)
            if block.directory and block.directory.exists():
                target = self._settings.live_wal / "blocks" / block.tenant / block.block_id
                target.parent.mkdir(parents=True, exist_ok=True)
                block.directory.rename(target)
                block.directory = target
            store.complete.append(block)
            self._counters.add("tempo_live_store_blocks_completed_total")
            self._hand_over(block)

    def _hand_over(self, block: Block) -> None:
        self._flush(block)
        block.flushed = True
        if block.directory and block.directory.exists():
            blocks.write_meta(block, block.directory)
        self._counters.add("tempo_live_store_local_blocks_flushed_total")

    def _clean(self, store: Tenant, now: float) -> None:
        for block in list(store.complete):
            if block.flushed and now - block.created >= self._settings.complete_block_timeout:
                store.complete.remove(block)
                if block.directory:
                    blocks.remove(block.directory)

    # -- restart

    def cut_all(self, now: float) -> None:
        """Cut every live trace to the log: what a graceful stop does."""
        if "sigterm-loses-live" in self._defects:
            return
        for name, store in self._tenants.items():
            self._cut_idle(name, store, now, everything=True)

    def replay(self) -> None:
        """Bring back the log and the finished blocks. A log without its meta file is removed, as Tempo does."""
        root: Path = self._settings.live_wal
        for directory in sorted(path for path in root.glob("*+*+vParquet4") if path.is_dir()):
            self._replay(directory, finished=False)
        for directory in sorted(path for path in root.glob("blocks/*/*") if path.is_dir()):
            self._replay(directory, finished=True)

    def _replay(self, directory: Path, *, finished: bool) -> None:
        try:
            block = blocks.open_block(directory)
        except (OSError, ValueError, KeyError) as error:
            log.warning("failed to replay block. removing. block=%s err=%s", directory.name, error)
            blocks.remove(directory)
            return
        store = self._tenants.setdefault(block.tenant, Tenant())
        if not finished:
            store.waiting.append(block)
            return
        store.complete.append(block)
        if not block.flushed:
            self._hand_over(block)
