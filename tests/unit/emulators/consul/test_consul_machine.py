"""Any order of writes, locks, sessions and passing time: the store holds what a plain dictionary of them would."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from tests.unit.emulators.consul.consul_rig import entry, make_world, put

SECOND = 1_000_000_000
KEYS = st.sampled_from(["a", "a/x", "a/y", "b", "b/x"])
VALUES = st.sampled_from(["1", "2", "3"])


@dataclass(frozen=True)
class Row:
    """A key as it has to be. `modified` is the index of the write that changed it last."""

    value: str
    modified: int
    holder: str = ""
    locks: int = 0


@dataclass(frozen=True)
class Held:
    """A session: what becomes of its keys, how long after them nobody may lock, and when it ends by itself."""

    behaviour: str
    delay: float
    ttl: float
    ends: float


class Locks(RuleBasedStateMachine):
    """Model: rows by key, sessions by id, and until when a key is barred."""

    defects: ClassVar[tuple[str, ...]] = ()
    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.world = make_world(defects=self.defects)
        self.rows: dict[str, Row] = {}
        self.alive: dict[str, Held] = {}
        self.barred: dict[str, float] = {}
        self.index = self.world.server.store.index

    def _write(self, key: str, row: Row) -> None:
        """An equal row is not written: its index stays."""
        old = self.rows.get(key)
        changed = old is None or replace(row, modified=old.modified) != old
        self.rows[key] = replace(row, modified=self.world.server.store.index) if changed else row

    def _ended(self, session: str) -> None:
        held = self.alive.pop(session)
        for key, row in list(self.rows.items()):
            if row.holder == session:
                if held.delay:
                    self.barred[key] = self.world.timers.now() + held.delay
                if held.behaviour == "delete":
                    del self.rows[key]
                else:
                    self.rows[key] = replace(row, holder="", modified=self.world.server.store.index)

    @rule(key=KEYS, value=VALUES)
    def write(self, key: str, value: str) -> None:
        """A plain write keeps the holder and forgets how often the key was locked."""
        old = self.rows.get(key)
        assert put(self.world, key, value)
        self._write(key, Row(value, old.modified if old else 0, old.holder if old else ""))

    @rule(key=KEYS, value=VALUES, off=st.sampled_from([0, 0, 1]))
    def compare_and_set(self, key: str, value: str, off: int) -> None:
        """Only with the index of the last change; zero for a key that is not there."""
        old = self.rows.get(key)
        expected = (old.modified if old else 0) + off
        assert put(self.world, key, value, "cas", index=expected) is (off == 0)
        if off == 0:
            self._write(key, Row(value, expected, old.holder if old else ""))

    @rule(key=KEYS, off=st.sampled_from([0, 1]))
    def compare_and_delete(self, key: str, off: int) -> None:
        """A key that is not there is deleted whatever the index."""
        old = self.rows.get(key)
        wanted = (old.modified if old else 0) + off
        assert put(self.world, key, verb="delete-cas", index=wanted) is (old is None or off == 0)
        if off == 0:
            self.rows.pop(key, None)

    @rule(key=KEYS, tree=st.booleans())
    def delete(self, key: str, tree: bool) -> None:
        """One key, or all that begin so."""
        assert put(self.world, key, verb="delete-tree" if tree else "delete")
        self.rows = {
            name: row for name, row in self.rows.items() if not (name.startswith(key) if tree else name == key)
        }

    @rule(
        target=sessions,
        behaviour=st.sampled_from(["release", "delete"]),
        ttl=st.sampled_from([0, 10, 20]),
        delay=st.sampled_from([0, 15]),
    )
    def create(self, behaviour: str, ttl: int, delay: int) -> str:
        """A session with or without an end of its own."""
        body = {"Behavior": behaviour, **({"TTL": f"{ttl}s"} if ttl else {})}
        session = self.world.server.sessions.create(body, "n1", delay * SECOND)
        ends = self.world.timers.now() + 2 * ttl if ttl else float("inf")
        self.alive[session] = Held(behaviour, delay, ttl, ends)
        return session

    @rule(key=KEYS, value=VALUES, session=sessions)
    def lock(self, key: str, value: str, session: str) -> None:
        """One holder at a time; the count of locks grows when it changes hands, not when the holder locks again."""
        old = self.rows.get(key)
        if session not in self.alive or self.world.server.sessions.delayed(key):
            return  # refused before it comes to the store: tested on the wire
        free = old is None or old.holder in ("", session)
        assert put(self.world, key, value, "lock", session=session) is free
        if free:
            count = old.locks if old else 0
            again = old is not None and old.holder == session
            self._write(key, Row(value, old.modified if old else 0, session, count if again else count + 1))

    @rule(key=KEYS, value=VALUES, session=sessions)
    def unlock(self, key: str, value: str, session: str) -> None:
        """Only its holder lets a key go, and leaves a value."""
        old = self.rows.get(key)
        mine = old is not None and old.holder == session
        assert put(self.world, key, value, "unlock", session=session) is mine
        if old and mine:
            self._write(key, replace(old, value=value, holder=""))

    @rule(session=consumes(sessions))
    def destroy(self, session: str) -> None:
        """Its keys are let go or deleted, and barred for the lock delay."""
        self.world.server.sessions.destroy(session)
        if session in self.alive:
            self._ended(session)

    @rule(session=sessions)
    def renew(self, session: str) -> None:
        """The end moves; a session that has ended does not come back."""
        found = self.world.server.sessions.find(session)
        assert (found is not None) is (session in self.alive)
        if found:
            self.world.server.sessions.renew(found)
        if held := self.alive.pop(session, None):
            ends = self.world.timers.now() + 2 * held.ttl if held.ttl else held.ends
            self.alive[session] = replace(held, ends=ends)

    @rule(seconds=st.sampled_from([1, 9, 21]))
    def time_passes(self, seconds: int) -> None:
        """Sessions end twice their TTL after they were renewed last, of two at once the one renewed first."""
        until = self.world.timers.now() + seconds
        while due := [(held.ends, name) for name, held in self.alive.items() if held.ends <= until]:
            ends = min(due)[0]
            self.world.timers.advance(ends - self.world.timers.now())
            for name in [name for at, name in due if at == ends]:
                self._ended(name)
        self.world.timers.advance(until - self.world.timers.now())

    @invariant()
    def the_store_holds_what_the_model_holds(self) -> None:
        """Every key with value, holder and count of locks; every prefix lists its keys in order."""
        for key, row in self.rows.items():
            found = entry(self.world, key)
            assert (found.session or "", found.lock_index) == (row.holder, row.locks)
            assert found.value == b64encode(row.value.encode()).decode()
            assert not row.holder or row.holder in self.alive
        for prefix in ("", "a", "a/", "b/x"):
            _, below = self.world.server.kv.under(prefix)
            assert [found.key for found in below] == sorted(key for key in self.rows if key.startswith(prefix))

    @invariant()
    def the_indexes_tell_every_change(self) -> None:
        """The index of a key is that of its last change, and the store's never goes back."""
        assert self.world.server.store.index >= self.index
        self.index = self.world.server.store.index
        found = {key: self.world.server.kv.get(key)[0] for key in self.rows}
        assert found == {key: row.modified for key, row in self.rows.items()}

    @invariant()
    def a_barred_key_is_barred_until_its_time(self) -> None:
        """The lock delay is real time, and over when it is over."""
        now = self.world.timers.now()
        assert {key for key in self.barred if self.world.server.sessions.delayed(key)} == {
            key for key, until in self.barred.items() if until > now
        }


ENOUGH = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLocks = Locks.TestCase
TestLocks.settings = ENOUGH


@pytest.mark.parametrize(
    "defect", ["kv-cas-ignored", "kv-lost-write", "lock-two-holders", "lock-delay-skipped", "session-ttl-ignored"]
)
def test_the_machine_finds_what_is_broken(defect: str) -> None:
    """The control: with a seeded defect the same machine goes red."""
    found = settings(ENOUGH, max_examples=1000, phases=[Phase.generate], database=None, derandomize=True)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(type("Broken", (Locks,), {"defects": (defect,)}), settings=found)
