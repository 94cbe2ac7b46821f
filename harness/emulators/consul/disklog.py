"""State on disk: a full dump and, after it, one JSON line per command, written before the command is answered.

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
    """The command log of one data directory. The dump names the log that continues it: no crash applies one twice."""

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
        lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
        for line in lines:
            index, name, arguments = json.loads(line)
            self._store.replay(index, name, arguments)
        self._compact()

    def _log(self, generation: int) -> Path:
        return self._directory / f"log-{generation}.jsonl"

    def _compact(self) -> None:
        old, self._generation = self._log(self._generation), self._generation + 1
        content = {"generation": self._generation, "store": self._store.dump(local=True)}
        fresh = self._directory / "state.json.new"
        fresh.write_text(json.dumps(content))
        fresh.replace(self._directory / "state.json")
        old.unlink(missing_ok=True)
        self.close()
        self._file = os.open(self._log(self._generation), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._written = 0

    def append(self, index: int, name: str, arguments: dict[str, Any]) -> None:
        """Write one command. Raises OSError when the disk refuses, so that nothing unkept is acknowledged."""
        if name == "kv" and "log-not-written" in self._defects:
            return
        if self._written > COMPACT_BYTES:
            self._compact()
        line = json.dumps([index, name, arguments], separators=(",", ":")).encode() + b"\n"
        view = memoryview(line)
        while view:
            view = view[os.write(self._file, view) :]
        self._written += len(line)

    def close(self) -> None:
        """Close the file; what was appended is already with the kernel."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
