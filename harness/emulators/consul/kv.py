"""The key/value store: compare-and-set, locks held by sessions, tombstones, and the index rules of each read.

Sources: the KV page of the HTTP API; captured answers of 1.8.7 for the quirks named at their place.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from harness.emulators.runner import Defects

from .errors import ConsulError
from .rows import Entry
from .store import Store, dump_rows, load_rows

TABLE = "kvs"
TOMBSTONES_KEPT = 50_000


class KV:
    """Entries by key. `lockable(session id)` says whether a session exists, or raises for a malformed id."""

    def __init__(self, store: Store, lockable: Callable[[str], bool], defects: Defects) -> None:
        self._store, self._lockable, self._defects = store, lockable, defects
        self._entries: dict[str, Entry] = {}
        self._sorted: list[str] = []
        self._tombstones: dict[str, int] = {}
        self._undo: list[tuple[str, Entry | None]] | None = None
        self._before: tuple[int, dict[str, int]] = (0, {})
        self._puts = 0
        self._verbs: dict[str, Callable[..., bool]] = {
            "set": self._set, "cas": self._cas, "lock": self._lock, "unlock": self._unlock,
            "delete": self._delete, "delete-cas": self._delete_cas, "delete-tree": self._delete_tree,
        }  # fmt: skip
        store.part(TABLE, self)
        store.command("kv", self.apply)

    # -- reads ------------------------------------------------------------------------------------------------

    def get(self, key: str) -> tuple[int, Entry | None]:
        """(index, entry). A missing key has the index of the whole table, so any write wakes its watchers."""
        entry = self._entries.get(key)
        return (entry.modify_index, entry) if entry else (max(1, self._store.at(TABLE)), None)

    def under(self, prefix: str) -> tuple[int, list[Entry]]:
        """(index, entries below a textual prefix, sorted by key)."""
        found = [self._entries[key] for key in self._keys(prefix)]
        if not prefix:
            return max(1, self._store.at(TABLE)), found
        buried = (index for key, index in self._tombstones.items() if key.startswith(prefix))
        newest = max(max((entry.modify_index for entry in found), default=0), max(buried, default=0))
        return newest or max(1, self._store.at(TABLE)), found

    def _keys(self, prefix: str) -> Iterator[str]:
        for position in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            if not self._sorted[position].startswith(prefix):
                return
            yield self._sorted[position]

    # -- writes -----------------------------------------------------------------------------------------------

    def apply(
        self, verb: str, key: str, value: str | None = None, flags: int = 0, index: int = 0, session: str = ""
    ) -> bool:
        """Run one write verb; whether it took effect. Raises ConsulError for a bad session."""
        return self._verbs[verb](Entry(key=key, value=value or None, flags=flags, session=session or None), index)

    def _put(self, entry: Entry, session: str | None = None) -> bool:
        # An equal entry is not written: its ModifyIndex stays and nobody wakes.
        old = self._entries.get(entry.key)
        index = self._store.index
        created, modified = (old.create_index, old.modify_index) if old else (index, index)
        fresh = replace(entry, session=session, create_index=created, modify_index=modified)
        if fresh != old:
            fresh.modify_index = index
            self._store_entry(entry.key, fresh)
        return True

    def _store_entry(self, key: str, entry: Entry | None, *, bury: bool = True) -> None:
        if self._undo is not None:
            self._undo.append((key, self._entries.get(key)))
        self._replace(key, entry)
        if entry is None and bury:
            self._bury(key)
        self._store.touch(TABLE)

    def _replace(self, key: str, entry: Entry | None) -> None:
        if entry is None:
            del self._entries[key]
            del self._sorted[bisect_left(self._sorted, key)]
            return
        if key not in self._entries:
            insort(self._sorted, key)
        self._entries[key] = entry

    def _bury(self, key: str) -> None:
        self._tombstones.pop(key, None)
        self._tombstones[key] = self._store.index
        if len(self._tombstones) > TOMBSTONES_KEPT:
            del self._tombstones[next(iter(self._tombstones))]

    def _set(self, entry: Entry, _index: int = 0) -> bool:
        # A plain write over a held key keeps the holder but resets LockIndex to 0: real behaviour.
        self._puts += 1
        if self._puts % 10 == 0 and "kv-lost-write" in self._defects:
            return True
        old = self._entries.get(entry.key)
        return self._put(entry, old.session if old else None)

    def _cas(self, entry: Entry, index: int) -> bool:
        old = self._entries.get(entry.key)
        if (old.modify_index if old else 0) != index and "kv-cas-ignored" not in self._defects:
            return False
        return self._put(entry, old.session if old else None)

    def _lock(self, entry: Entry, _index: int = 0) -> bool:
        self._check_session(entry.session, must_exist=True)
        old = self._entries.get(entry.key)
        held = old.session if old else None
        if held and held != entry.session and "lock-two-holders" not in self._defects:
            return False
        locks = old.lock_index if old else 0
        return self._put(replace(entry, lock_index=locks if held else locks + 1), entry.session)

    def _unlock(self, entry: Entry, _index: int = 0) -> bool:
        self._check_session(entry.session, must_exist=False)
        old = self._entries.get(entry.key)
        if old is None or not old.session or old.session != entry.session:
            return False
        return self._put(replace(entry, lock_index=old.lock_index), None)

    def _check_session(self, session: str | None, *, must_exist: bool) -> None:
        if not session:
            raise ConsulError("missing session")
        if must_exist and not self._lockable(session):
            raise ConsulError(f'invalid session "{session}"')

    def _delete(self, entry: Entry, _index: int = 0) -> bool:
        if entry.key in self._entries:
            self._store_entry(entry.key, None)
        return True

    def _delete_cas(self, entry: Entry, index: int) -> bool:
        old = self._entries.get(entry.key)
        return old is None or (old.modify_index == index and self._delete(entry))

    def _delete_tree(self, entry: Entry, _index: int = 0) -> bool:
        # One tombstone for the prefix itself: a reader of a longer prefix does not see this deletion in its index.
        below = list(self._keys(entry.key))
        for key in below:
            self._store_entry(key, None, bury=False)
        if below and entry.key:
            self._bury(entry.key)
        return True

    # -- what sessions and transactions need ----------------------------------------------------------------------

    def release(self, session: str, *, delete: bool) -> list[str]:
        """Let go of every key a session held (or delete it); their names."""
        held = [entry for entry in self._entries.values() if entry.session == session]
        for entry in held:
            if delete:
                self._delete(entry)
            else:
                self._put(replace(entry), None)
        return [entry.key for entry in held]

    def begin(self) -> None:
        """Start remembering how to take back what is written."""
        self._undo, self._before = [], (self._store.at(TABLE), dict(self._tombstones))

    def end(self, *, keep: bool) -> None:
        """Stop remembering; take everything back, the table's index too, unless it is to be kept."""
        undo, self._undo = self._undo or [], None
        if keep or not undo:
            return
        for key, entry in reversed(undo):
            if entry is not None or key in self._entries:
                self._replace(key, entry)
        index, self._tombstones = self._before
        self._store.rewind(TABLE, index)

    def dump(self) -> Any:
        """Entries and tombstones."""
        return {"entries": dump_rows(self._entries.values()), "tombstones": self._tombstones}

    def load(self, content: Any) -> None:
        """Replace entries and tombstones."""
        self._entries = {entry.key: entry for entry in load_rows(Entry, content["entries"])}
        self._sorted = sorted(self._entries)
        self._tombstones = dict(content["tombstones"])
