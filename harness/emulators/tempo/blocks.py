"""Blocks of traces, in memory and on disk.

A block is a directory with `meta.json` and `data`: frames of a 4-byte length and one OTLP TracesData message, one frame
per cut trace. Frames are written in one call, so a kill tears at most the last one, which replay drops.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from harness.emulators.tempo.spans import TraceRow

LENGTH = struct.Struct(">I")


def trace_id_of(data: TracesData) -> bytes:
    """The id the spans of a message share, padded to 16 bytes; empty when there is no span."""
    for resource in data.resource_spans:
        for scoped in resource.scope_spans:
            for span in scoped.spans:
                return bytes(span.trace_id).rjust(16, b"\0")
    return b""


@dataclass(slots=True, eq=False)
class Block:
    """Traces stored together. `start` and `end` are Unix seconds as clipped at ingestion; searches go by them."""

    block_id: str
    tenant: str
    directory: Path | None
    created: float
    start: int = 0
    end: int = 0
    size: int = 0
    flushed: bool = False
    compacted_at: float | None = None
    _fragments: dict[bytes, list[bytes]] | None = field(default_factory=dict)
    _rows: dict[bytes, TraceRow] = field(default_factory=dict)

    @property
    def fragments(self) -> dict[bytes, list[bytes]]:
        """Serialised TracesData by trace id, read from disk when first needed."""
        if self._fragments is None:
            self._fragments = {}
            for frame in read_frames(self.directory / "data") if self.directory else ():
                self._index(frame)
        return self._fragments

    @property
    def ids(self) -> tuple[bytes, ...]:
        """The trace ids in it."""
        return tuple(self.fragments)

    def _index(self, frame: bytes) -> bytes:
        trace_id = trace_id_of(TracesData.FromString(frame))
        self.fragments.setdefault(trace_id, []).append(frame)
        return trace_id

    def append(self, frame: bytes, start: int, end: int, *, durable: bool = True) -> None:
        """Add one cut trace and write it; `start` and `end` in seconds widen the block's range.

        `write_meta` must follow once a round of cuts is done: without it replay drops the block.
        """
        trace_id = self._index(frame)
        self._rows.pop(trace_id, None)
        self.start = min(self.start or start, start)
        self.end = max(self.end, end)
        self.size += len(frame)
        if self.directory and durable:
            self.directory.mkdir(parents=True, exist_ok=True)
            with (self.directory / "data").open("ab", buffering=0) as data:
                data.write(LENGTH.pack(len(frame)) + frame)

    def row(self, trace_id: bytes) -> TraceRow:
        """The spans of a trace, built once and kept."""
        row = self._rows.get(trace_id)
        if row is None:
            row = TraceRow(trace_id)
            for frame in self.fragments[trace_id]:
                for resource in TracesData.FromString(frame).resource_spans:
                    row.add(resource)
            self._rows[trace_id] = row
        return row

    def overlaps(self, start: int, end: int) -> bool:
        """Whether the block may hold something of a range in seconds."""
        return self.start <= end and self.end >= start


def read_frames(path: Path) -> Iterator[bytes]:
    """The whole frames of a data file; a torn last one is left out."""
    raw = path.read_bytes() if path.exists() else b""
    at = 0
    while at + LENGTH.size <= len(raw):
        (length,) = LENGTH.unpack_from(raw, at)
        at += LENGTH.size
        if at + length > len(raw):
            return
        yield raw[at : at + length]
        at += length


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_meta(block: Block, directory: Path) -> None:
    """Write `meta.json` whole: a reader sees the old one or the new one."""
    meta = {
        "format": "vParquet4", "blockID": block.block_id, "tenantID": block.tenant, "created": block.created,
        "startTime": _rfc3339(block.start), "endTime": _rfc3339(block.end), "start": block.start, "end": block.end,
        "totalObjects": len(block.fragments), "size": block.size, "flushed": block.flushed, "compactionLevel": 0,
    }  # fmt: skip
    temporary = directory / "meta.json.tmp"
    temporary.write_text(json.dumps(meta))
    temporary.rename(directory / "meta.json")


def open_block(directory: Path, meta_name: str = "meta.json") -> Block:
    """The block in a directory, its data left on disk until needed. Raises OSError or ValueError when broken."""
    meta = json.loads((directory / meta_name).read_text())
    return Block(
        meta["blockID"], meta["tenantID"], directory, meta["created"], meta["start"], meta["end"], meta["size"],
        meta["flushed"], _fragments=None,
    )  # fmt: skip


def copy_block(block: Block, directory: Path) -> None:
    """Copy a block; `meta.json` goes last, and only with it does the copy count."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "data").open("wb") as data:
        for frames in block.fragments.values():
            data.writelines(LENGTH.pack(len(frame)) + frame for frame in frames)
        data.flush()
        os.fsync(data.fileno())
    write_meta(block, directory)


def remove(directory: Path) -> None:
    """Delete a block's files."""
    shutil.rmtree(directory, ignore_errors=True)
