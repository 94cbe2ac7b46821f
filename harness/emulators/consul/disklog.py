"""State on disk: a full dump and, after it, one JSON line per commit, written before the commit is answered.

A line is handed to the kernel and not fsynced: it survives SIGKILL of the process, as every acknowledged write of a
real server did in measurement. A torn last line is dropped. Files: `emulator/state.json`, `emulator/log-N.jsonl`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from harness.emulators.runner import Defects

from .store import Store

COMPACT_BYTES = 64 * 1024 * 1024


class DiskLog:
    """The log of one data directory. The dump names the log that continues it: no crash applies one twice."""

    def __init__(self, directory: Path, store: Store, defects: Defects) -> None:
        self._directory, self._store, self._defects = directory / "emulator", store, defects
        self._directory.mkdir(parents=True, exist_ok=True)
        self._generation, self._written, self._file = 0, 0, -1

    def recover(self) -> None:
        """Load the dump, apply the log, and start a new log. Call once, before anything is served."""
        state = self._directory / "state.json"
        if state.exists():
            content = json.loads(state.read_bytes())
            self._generation = content["generation"]
            self._store.load(content["store"])
        log = self._log(self._generation)
        for line in log.read_bytes().split(b"\n")[:-1] if log.exists() else []:
            self._store.replay(*json.loads(line))
        self.compact()
        self._store.log = self.append

    def _log(self, generation: int) -> Path:
        return self._directory / f"log-{generation}.jsonl"

    def compact(self) -> None:
        """Write a full dump and begin a new log: from time to time, and when everything was replaced."""
        old, self._generation = self._log(self._generation), self._generation + 1
        content = {"generation": self._generation, "store": self._store.dump(local=True)}
        fresh = self._directory / "state.json.new"
        fresh.write_text(json.dumps(content))
        fresh.replace(self._directory / "state.json")
        old.unlink(missing_ok=True)
        self.close()
        self._file = os.open(self._log(self._generation), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._written = 0

    def append(self, record: list[Any]) -> None:
        """Write one commit. Raises OSError when the disk refuses, so that nothing unkept is acknowledged."""
        if "log-not-written" in self._defects and all(table == "kvs" for table, *_ in record[1]):
            return
        view = memoryview(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self._written += len(view)
        while view:
            view = view[os.write(self._file, view) :]
        if self._written > COMPACT_BYTES:
            self.compact()

    def close(self) -> None:
        """Close the file; what was appended is already with the kernel."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
