"""The file_storage extension: one append-only file per client, whole again after SIGKILL.

The real one keeps a bbolt database per client; what is promised is the same: a value that was set is there after the
process was killed, and two processes cannot use one file.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from harness.emulators.runner import ConfigError

_HEAD = struct.Struct("<cQII")  # operation, key, length and CRC-32 of the value
_COMPACT_AT = 4 * 1024 * 1024


@dataclass
class StorageClient:
    """A map from integer keys to bytes in one file. A torn last record (killed while writing) is dropped."""

    path: Path
    values: dict[int, bytes] = field(default_factory=dict)
    size: int = 0

    def __post_init__(self) -> None:
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self.file)
            raise ConfigError("timeout") from error  # what bbolt says of a locked file
        self._replay(self.path.read_bytes())

    def _replay(self, content: bytes) -> None:
        at = 0
        while at + _HEAD.size <= len(content):
            operation, key, length, check = _HEAD.unpack_from(content, at)
            value = content[at + _HEAD.size : at + _HEAD.size + length]
            if len(value) < length or zlib.crc32(value) != check:
                break
            at += _HEAD.size + length
            if operation == b"+":
                self.values[key] = value
            else:
                self.values.pop(key, None)
        self.size = at
        os.ftruncate(self.file, at)

    def set(self, key: int, value: bytes) -> None:
        """Keep a value."""
        self._append(b"+", key, value)
        self.values[key] = value

    def delete(self, key: int) -> None:
        """Forget a value; shrinks the file when it is mostly dead."""
        if self.values.pop(key, None) is None:
            return
        self._append(b"-", key, b"")
        if self.size > _COMPACT_AT and self.size > 4 * sum(map(len, self.values.values())):
            self._compact()

    def close(self) -> None:
        """Release the file and its lock."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def _append(self, operation: bytes, key: int, value: bytes) -> None:
        record = _HEAD.pack(operation, key, len(value), zlib.crc32(value)) + value
        os.write(self.file, record)
        self.size += len(record)

    def _compact(self) -> None:
        fresh = self.path.with_suffix(".compact")
        fresh.unlink(missing_ok=True)
        replacement = StorageClient(fresh)
        for key, value in self.values.items():
            replacement.set(key, value)
        fresh.replace(self.path)
        os.close(self.file)
        self.file, self.size = replacement.file, replacement.size


@dataclass(frozen=True)
class FileStorage:
    """The extension: hands out a client per exporter and signal, `exporter_otlp_grpc_tempo_traces` in its directory."""

    id: str
    directory: Path
    create: bool

    def check(self) -> None:
        """Raises ConfigError when the directory is missing or not one."""
        if self.create:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        where = f"Error: invalid configuration: extensions::{self.id}"
        if not self.directory.exists():
            raise ConfigError(
                f"{where}: directory must exist: stat {self.directory}: no such file or directory. You can enable the "
                "create_directory option to automatically create it"
            )
        if not self.directory.is_dir():
            raise ConfigError(f"{where}: {self.directory} is not a directory")

    def client(self, exporter: str, signal: str) -> StorageClient:
        """Open the file of one exporter's queue. Raises ConfigError when another process has it."""
        return StorageClient(self.directory / f"exporter_{exporter.replace('/', '_')}_{signal}")
