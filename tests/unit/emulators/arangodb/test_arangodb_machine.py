"""Documents, indexes and stream transactions against a model: whatever the order, the emulator and it agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from harness.emulators.arangodb.aql.context import Context
from harness.emulators.arangodb.aql.query import execute
from harness.emulators.arangodb.defects import DEFECTS
from harness.emulators.arangodb.documents import WriteOptions
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.index_catalog import create_index, drop_index
from harness.emulators.arangodb.options import Options
from harness.emulators.arangodb.server import Server
from harness.emulators.runner import Defects

KEYS = st.sampled_from("abcd")
VALUES = st.one_of(st.none(), st.integers(0, 2))
State = dict[str, Any]
"""The value of each document's `n` by key."""


@dataclass(eq=False)
class Open:
    """A transaction: what it saw at its beginning, and what it has written since (None for a removal)."""

    stream: Any
    seen: State
    began: int
    written: dict[str, tuple[Any] | None] = field(default_factory=dict)

    def view(self) -> State:
        """What it must see."""
        return overlaid(self.seen, self.written)


def overlaid(state: State, written: dict[str, tuple[Any] | None]) -> State:
    """A state with writes applied."""
    kept = {key: value for key, value in state.items() if key not in written}
    return kept | {key: value[0] for key, value in written.items() if value is not None}


class DocumentMachine(RuleBasedStateMachine):
    """One collection with a unique index that comes and goes, written inside and outside of transactions."""

    transactions = Bundle("transactions")
    defects: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.server = Server(Options(idle_timeout=3600), Defects(DEFECTS, self.defects))
        self.database = self.server.catalog.database("_system")
        self.collection = self.server.catalog.create_collection(self.database, {"name": "c"})
        self.committed: State = {}
        self.changed: dict[str, int] = {}
        self.commits = 0
        self.open: list[Open] = []
        self.unique = False

    # -- the model

    def refusal(self, trx: Open | None, key: str, value: tuple[Any] | None) -> int:
        """The errorNum a write must get, 0 for none; a missing document is not this function's concern."""
        others = [one for one in self.open if one is not trx]
        if any(key in one.written for one in others) or (trx and self.changed.get(key, 0) > trx.began):
            return 1200
        if not self.unique or value is None:
            return 0
        return self.clash(trx, others, key, value[0])

    def clash(self, trx: Open | None, others: list[Open], key: str, value: Any) -> int:
        """1200 for a unique value that an open transaction holds or gives up, 1210 for one that is taken."""
        own = trx.written if trx else {}
        found = set()
        for other in {*self.committed, *(name for one in self.open for name in one.written)} - {key}:
            pending = [one.written[other] for one in others if other in one.written]
            stored = own[other] if other in own else ((self.committed[other],) if other in self.committed else None)
            holders = [one[0] for one in (stored, *pending) if one is not None]
            if value in holders:
                found.add(1200 if pending else 1210)
        return -1 if len(found) > 1 else next(iter(found), 0)

    def accept(self, trx: Open | None, key: str, value: tuple[Any] | None) -> None:
        """Take over a write that was acknowledged."""
        if trx is not None:
            trx.written[key] = value
            return
        self.commits += 1
        self.changed[key] = self.commits
        self.committed = overlaid(self.committed, {key: value})

    # -- the emulator

    def write(self, trx: Open | None, key: str, value: tuple[Any] | None) -> int:
        """Insert, replace or (None) remove; the errorNum or 0. A failed one leaves its transaction as it was."""
        work = trx.stream.trx if trx else self.server.catalog.store.begin()
        mark, documents = work.savepoint(), self.server.documents
        try:
            if value is None:
                documents.remove(work, self.collection, key)
            else:
                options = WriteOptions(overwrite_mode="replace")
                documents.insert(work, self.collection, {"_key": key, "n": value[0]}, options)
        except ArangoError as error:
            work.rollback(mark)
            if trx is None:
                work.abort()
            return error.number
        if trx is None:
            work.commit()
        return 0

    def query(self, trx: Any, text: str) -> list[Any]:
        """The rows of a query inside a transaction."""
        context = Context(self.database, trx, self.server.documents, lambda *_: None, lambda _name: {})
        return execute(context, text, {}).rows

    def attempt(self, trx: Open | None, key: str, value: tuple[Any] | None) -> None:
        """Write, and compare with the model."""
        view = trx.view() if trx else self.committed
        expected = self.refusal(trx, key, value)
        if value is None and key not in view:
            assert self.write(trx, key, value) == 1202
            return
        outcome = self.write(trx, key, value)
        assert outcome == expected or (expected == -1 and outcome in (1200, 1210)), (outcome, expected)
        if outcome == 0:
            self.accept(trx, key, value)

    # -- rules

    @initialize(values=st.dictionaries(KEYS, st.integers(0, 2), max_size=3))
    def fill(self, values: State) -> None:
        for key, value in values.items():
            self.attempt(None, key, (value,))

    @rule(key=KEYS, value=VALUES)
    def put(self, key: str, value: Any) -> None:
        self.attempt(None, key, (value,))

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        self.attempt(None, key, None)

    @rule(target=transactions)
    def begin(self) -> Open:
        stream = self.server.streams.begin(self.database, "root", {"collections": {"write": "c"}})
        self.open.append(Open(stream, dict(self.committed), self.commits))
        return self.open[-1]

    @rule(trx=transactions, key=KEYS, value=VALUES)
    def put_inside(self, trx: Open, key: str, value: Any) -> None:
        self.attempt(trx, key, (value,))

    @rule(trx=transactions, key=KEYS)
    def remove_inside(self, trx: Open, key: str) -> None:
        self.attempt(trx, key, None)

    @rule(trx=consumes(transactions))
    def commit(self, trx: Open) -> None:
        self.server.streams.finish(trx.stream.id, "_system", "committed")
        self.open.remove(trx)
        self.commits += 1
        self.changed |= dict.fromkeys(trx.written, self.commits)
        self.committed = overlaid(self.committed, trx.written)

    @rule(trx=consumes(transactions))
    def abort(self, trx: Open) -> None:
        self.server.streams.finish(trx.stream.id, "_system", "aborted")
        self.open.remove(trx)

    @rule(unique=st.booleans())
    def index(self, unique: bool) -> None:
        """A new index, while nobody writes; over duplicates a unique one is refused."""
        if any(one.written for one in self.open):
            return
        if self.collection.index("by-n"):
            drop_index(self.server.catalog, self.database, self.collection, "by-n")
        self.unique = False
        body = {"type": "persistent", "fields": ["n"], "unique": unique, "name": "by-n"}
        values = list(self.committed.values())
        if unique and len(set(values)) < len(values):
            with pytest.raises(ArangoError, match="unique constraint violated"):
                create_index(self.server.catalog, self.database, self.collection, body)
            return
        create_index(self.server.catalog, self.database, self.collection, body)
        self.unique = unique

    # -- what must always hold

    @invariant()
    def everybody_sees_what_they_must(self) -> None:
        for trx, expected in [(None, self.committed), *((one.stream.trx, one.view()) for one in self.open)]:
            work = trx or self.server.catalog.store.begin()
            rows = self.query(work, "FOR d IN c RETURN [d._key, d.n]")
            assert dict(rows) == expected
            assert work.count(self.collection) == len(expected)
            found = {key: doc["n"] for key in "abcd" if (doc := work.get(self.collection, key)) is not None}
            assert found == expected
            by_value = self.query(work, "FOR v IN [null, 0, 1, 2] FOR d IN c FILTER d.n == v RETURN [d._key, v]")
            assert len(by_value) == len(expected)
            assert dict(by_value) == expected
            if trx is None:
                work.abort()

    def teardown(self) -> None:
        """With every transaction over nothing is left of old versions and uncommitted writes."""
        for one in self.open:
            self.server.streams.finish(one.stream.id, "_system", "aborted")
        assert (self.collection.pending, self.collection.history) == ({}, {})
        index = self.collection.index("by-n")
        if index is not None:
            assert len(list(index.keys_of(()))) == len(self.committed), "entries of what nobody sees any more"


TestDocuments = DocumentMachine.TestCase
_PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
"""Without shrinking, which takes minutes on a busy machine; the steps of a failure are few enough to read."""
TestDocuments.settings = settings(max_examples=30, stateful_step_count=25, deadline=None, phases=_PHASES)


@pytest.mark.parametrize(
    "defect", ["no-write-conflict", "dirty-read", "stale-index", "abort-commits", "duplicate-unique"]
)
def test_the_model_tells_a_broken_server(defect: str) -> None:
    broken = type("Broken", (DocumentMachine,), {"defects": frozenset({defect})})
    bounds = settings(
        max_examples=100, stateful_step_count=30, deadline=None, phases=[Phase.generate], derandomize=True
    )
    with pytest.raises((AssertionError, KeyError)):  # a model that is no longer the server's may not know a key
        run_state_machine_as_test(broken, settings=bounds)
