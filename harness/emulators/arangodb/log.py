"""The data directory: one append-only file of JSON lines, replayed at start and rewritten small.

A line is one atomic change (a commit, or a change of the catalogue). It is handed to the kernel with one `write`
before the change is acknowledged, so it survives SIGKILL; `sync` adds fdatasync for waitForSync. A torn last line
(power loss) is dropped at replay.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]
LOG_NAME = "journal.ndjson"


class DirectoryBusyError(Exception):
    """Another server uses the data directory."""


class Log:
    """The journal of one data directory. Raises DirectoryBusyError if another process holds it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / LOG_NAME
        self._lock = os.open(directory / "LOCK", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise DirectoryBusyError(str(directory)) from None
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def replay(self) -> Iterator[Record]:
        """Every whole record, in order; a torn last one is cut off."""
        whole = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    whole += len(line)
                    yield json.loads(line)
        os.ftruncate(self._file, whole)

    def append(self, record: Record, sync: bool = False) -> None:
        """Write one record; with `sync`, also wait for the disk."""
        data = _line(record)
        while data:
            data = data[os.write(self._file, data) :]
        if sync:
            os.fdatasync(self._file)

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the journal by an equivalent shorter one, atomically."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as out:
            out.writelines(map(_line, records))
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._path)
        os.close(self._file)
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND)

    def close(self) -> None:
        """Sync and let go of the directory."""
        os.fdatasync(self._file)
        os.close(self._file)
        os.close(self._lock)
        self._file = -1  # a late write fails instead of going to whatever gets the number next


def _line(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
