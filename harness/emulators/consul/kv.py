"""The key/value store: compare-and-set, locks held by sessions, tombstones, and the index rules of each read.

Sources: the KV page of the HTTP API; captured answers of 1.8.7 for the quirks named at their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.emulators.runner import Defects

from .errors import ConsulError
from .rows import Entry
from .store import TOMBSTONES, TOMBSTONES_KEPT, Store

TABLE = "kvs"


class KV:
    """Entries by key. `lockable(session id)` says whether a session exists, or raises for a malformed id."""

    def __init__(self, store: Store, lockable: Callable[[str], bool], defects: Defects) -> None:
        self._store, self._lockable, self._defects = store, lockable, defects
        self._entries: dict[str, Entry] = store.table(TABLE, Entry)
        self._tombstones: dict[str, int] = store.table(TOMBSTONES)
        self._puts = 0
        self._verbs: dict[str, Callable[[Entry, int], bool]] = {
            "set": self._set, "cas": self._cas, "lock": self._lock, "unlock": self._unlock,
            "delete": self._delete, "delete-cas": self._delete_cas, "delete-tree": self._delete_tree,
        }  # fmt: skip

    def get(self, key: str) -> tuple[int, Entry | None]:
        """(index, entry). A missing key has the index of the whole table, so any write wakes its watchers."""
        entry = self._entries.get(key)
        return (entry.modify_index, entry) if entry else (max(1, self._store.at(TABLE)), None)

    def under(self, prefix: str) -> tuple[int, list[Entry]]:
        """(index, entries below a textual prefix, sorted by key)."""
        found = [entry for key, entry in sorted(self._entries.items()) if key.startswith(prefix)]
        changed = [entry.modify_index for entry in found]
        changed += [index for key, index in self._tombstones.items() if key.startswith(prefix)]
        return (max(changed) if prefix and changed else max(1, self._store.at(TABLE))), found

    def apply(
        self, verb: str, key: str, value: str | None = None, flags: int = 0, index: int = 0, session: str = ""
    ) -> bool:
        """Run one write verb; whether it took effect. Raises ConsulError for a bad session."""
        with self._store.commit():
            return self._verbs[verb](Entry(key=key, value=value or None, flags=flags, session=session or None), index)

    def _put(self, entry: Entry, session: str | None) -> bool:
        # An equal entry is not written: its ModifyIndex stays and nobody wakes.
        old, index = self._entries.get(entry.key), self._store.index
        created, modified = (old.create_index, old.modify_index) if old else (index, index)
        fresh = replace(entry, session=session, create_index=created, modify_index=modified)
        if fresh != old:
            self._store.put(TABLE, entry.key, replace(fresh, modify_index=index))
            self._store.touch(TABLE)
        return True

    def _remove(self, key: str, tombstone: str) -> None:
        self._store.put(TABLE, key, None)
        self._store.put(TOMBSTONES, tombstone, self._store.index)
        if len(self._tombstones) > TOMBSTONES_KEPT:
            self._store.put(TOMBSTONES, next(iter(self._tombstones)), None)
        self._store.touch(TABLE)

    def _set(self, entry: Entry, _index: int) -> bool:
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

    def _lock(self, entry: Entry, _index: int) -> bool:
        if not entry.session:
            raise ConsulError("missing session")
        if not self._lockable(entry.session):
            raise ConsulError(f'invalid session "{entry.session}"')
        old = self._entries.get(entry.key)
        held, locks = (old.session, old.lock_index) if old else (None, 0)
        if held and held != entry.session and "lock-two-holders" not in self._defects:
            return False
        return self._put(replace(entry, lock_index=locks if held else locks + 1), entry.session)

    def _unlock(self, entry: Entry, _index: int) -> bool:
        if not entry.session:
            raise ConsulError("missing session")
        old = self._entries.get(entry.key)
        if old is None or old.session != entry.session:
            return False
        return self._put(replace(entry, lock_index=old.lock_index), None)

    def _delete(self, entry: Entry, _index: int) -> bool:
        if entry.key in self._entries:
            self._remove(entry.key, entry.key)
        return True

    def _delete_cas(self, entry: Entry, index: int) -> bool:
        # An index of 0 never matches an existing key; a key that is missing counts as deleted.
        old = self._entries.get(entry.key)
        return old is None or (old.modify_index == index and self._delete(entry, index))

    def _delete_tree(self, entry: Entry, _index: int) -> bool:
        # One tombstone for the prefix itself: a reader of a longer prefix does not see this deletion in its index.
        for below in self.under(entry.key)[1]:
            self._remove(below.key, entry.key)
        return True

    def release(self, session: str, *, delete: bool) -> list[str]:
        """Let go of every key a session held (or delete it); their names."""
        held = [entry for entry in self._entries.values() if entry.session == session]
        for entry in held:
            if delete:
                self._remove(entry.key, entry.key)
            else:
                self._put(entry, None)
        return [entry.key for entry in held]
