"""The object store of finished blocks on the local disk: polling its list, retention, removal.

A block past retention is marked compacted, stays readable by id for two more polls, and its files go after
`compacted_block_retention`. Compaction itself, which never changes an answer, is left out.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.emulators.runner import Defects
from harness.emulators.tempo import blocks
from harness.emulators.tempo.blocks import Block
from harness.emulators.tempo.counters import Counters
from harness.emulators.tempo.settings import Settings

COMPACTED = "meta.compacted.json"


class Backend:
    """What lies under the local backend's path. Readers see it as of the last poll."""

    def __init__(self, settings: Settings, counters: Counters, defects: Defects) -> None:
        self._root: Path = settings.blocks_path
        self._settings = settings
        self._counters = counters
        self._defects = defects
        self._known: dict[str, dict[Path, Block]] = {}
        self._next_poll = 0.0
        self._next_retention = 0.0

    def write(self, block: Block) -> None:
        """Store a finished block; it is listed from the next poll on."""
        blocks.copy_block(block, self._root / block.tenant / block.block_id)

    def listed(self, tenant: str) -> list[Block]:
        """The tenant's blocks that searches go through."""
        return [block for block in self._known.get(tenant, {}).values() if block.compacted_at is None]

    def readable(self, tenant: str, now: float) -> list[Block]:
        """The tenant's blocks that reading by id goes through: just compacted ones still count."""
        grace = 2 * self._settings.blocklist_poll
        found = self._known.get(tenant, {}).values()
        return [block for block in found if block.compacted_at is None or now - block.compacted_at < grace]

    def tick(self, now: float) -> None:
        """Apply retention and refresh the list when due."""
        if now >= self._next_retention:
            self._next_retention = now + self._settings.retention_interval
            self._retain(now)
        if now >= self._next_poll:
            self._next_poll = now + self._settings.blocklist_poll
            self.poll()

    def poll(self) -> None:
        """Read the list of blocks from disk, keeping what was already loaded of each."""
        known: dict[str, dict[Path, Block]] = {}
        for directory in sorted(path for path in self._root.glob("*/*") if path.is_dir()):
            compacted = directory / COMPACTED
            try:
                stamp = _compacted_time(compacted) if compacted.exists() else None
                block = self._known.get(directory.parent.name, {}).get(directory)
                block = block or blocks.open_block(directory, COMPACTED if stamp else "meta.json")
            except (OSError, ValueError, KeyError):
                continue  # half written or just being removed: not listed, as in Tempo
            block.compacted_at = stamp
            known.setdefault(directory.parent.name, {})[directory] = block
        self._known = known
        for tenant in known:
            self._counters.set("tempodb_blocklist_length", len(self.listed(tenant)), tenant=tenant)

    def _retain(self, now: float) -> None:
        if "retention-never" in self._defects:
            return
        for directory in sorted(path for path in self._root.glob("*/*") if path.is_dir()):
            live, compacted = directory / "meta.json", directory / COMPACTED
            if compacted.exists():
                if now - _compacted_time(compacted) >= self._settings.compacted_block_retention:
                    blocks.remove(directory)
                    self._counters.add("tempodb_retention_deleted_total")
            elif live.exists() and now - blocks.open_block(directory).end >= self._settings.block_retention:
                compacted.write_text(json.dumps(json.loads(live.read_text()) | {"compactedTime": now}))
                live.unlink()
                self._counters.add("tempodb_retention_marked_for_deletion_total")


def _compacted_time(path: Path) -> float:
    return float(json.loads(path.read_text())["compactedTime"])
