"""Stream transactions of ArangoDB: isolation, conflict, end. Document: HTTP API "Stream Transactions"."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from arango.exceptions import ArangoServerError

from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace

pytestmark = pytest.mark.uses("arangodb")

CONFLICT = 1200
IDLE = 60
"""Seconds after which a server of default configuration aborts an unused transaction."""


@pytest.fixture
def db(namespace: Namespace) -> Any:
    """This test's database, with collections `accounts` (documents `a` and `b` of 100 each) and `ledger` (empty)."""
    database = namespace.of("arangodb")
    database.create_collection("accounts").insert_many([{"_key": key, "balance": 100} for key in "ab"])
    database.create_collection("ledger")
    return database


def begin(db: Any, *write: str, **options: Any) -> Any:
    """A transaction that writes to these collections; both by default."""
    return db.begin_transaction(write=list(write or ("accounts", "ledger")), **options)


def refusal(action: Callable[[], Any]) -> tuple[int, int]:
    """Status and errorNum of what must not succeed."""
    with pytest.raises(ArangoServerError) as caught:
        action()
    return int(caught.value.http_code), int(caught.value.error_code or 0)


def balances(db: Any) -> dict[str, int]:
    """What the accounts hold, as seen by `db`: the database, or a transaction."""
    return dict(db.aql.execute("FOR account IN accounts RETURN [account._key, account.balance]"))


def transfer(trx: Any, amount: int) -> None:
    """From `a` to `b`, with an entry in the ledger."""
    held = balances(trx)
    trx.collection("accounts").update({"_key": "a", "balance": held["a"] - amount})
    trx.collection("accounts").update({"_key": "b", "balance": held["b"] + amount})
    trx.collection("ledger").insert({"amount": amount})


def test_a_commit_shows_all_writes_at_once_and_none_before(db: Any) -> None:
    """Isolation: a transaction sees its own writes, others none of them until the commit, and then all."""
    trx = begin(db)
    transfer(trx, 30)
    assert balances(trx) == {"a": 70, "b": 130}
    assert trx.collection("ledger").count() == 1
    assert balances(db) == {"a": 100, "b": 100}
    assert db.collection("ledger").count() == 0
    assert db.collection("accounts").get("a")["balance"] == 100
    assert trx.commit_transaction()
    assert balances(db) == {"a": 70, "b": 130}
    assert [entry["amount"] for entry in db.collection("ledger").all()] == [30]


def test_an_aborted_transaction_leaves_nothing(db: Any) -> None:
    """Abort: inserts, updates and removals of every collection are undone, revisions included."""
    before = {document["_key"]: document for document in db.collection("accounts").all()}
    trx = begin(db)
    transfer(trx, 30)
    trx.collection("accounts").delete("b")
    trx.aql.execute("FOR n IN 1..20 INSERT {n} INTO ledger")
    assert (balances(trx), trx.collection("ledger").count()) == ({"a": 70}, 21)
    assert trx.abort_transaction()
    assert {document["_key"]: document for document in db.collection("accounts").all()} == before
    assert db.collection("ledger").count() == 0


def test_of_two_transactions_that_write_one_document_one_fails(db: Any) -> None:
    """Write-write conflict: 409 with 1200 for the second, which may go on elsewhere; nothing is overwritten."""
    first, second = begin(db), begin(db)
    first.collection("accounts").update({"_key": "a", "balance": 1})
    collision = refusal(lambda: second.collection("accounts").update({"_key": "a", "balance": 2}))
    assert collision == (409, CONFLICT)
    second.collection("ledger").insert({"_key": "second"})
    outside = refusal(lambda: db.collection("accounts").delete("a"))
    assert outside == (409, CONFLICT), "a write outside of transactions went over an open one"
    assert first.commit_transaction()
    assert second.commit_transaction()
    assert balances(db) == {"a": 1, "b": 100}
    assert db.collection("ledger").has("second")


def test_a_transaction_reads_as_of_its_beginning(db: Any) -> None:
    """Snapshot isolation: what others commit later is not seen, by document nor by query, and writing it conflicts."""
    trx = begin(db)
    assert balances(trx) == {"a": 100, "b": 100}
    db.collection("accounts").update({"_key": "a", "balance": 5})
    db.collection("accounts").insert({"_key": "c", "balance": 7})
    assert balances(trx) == {"a": 100, "b": 100}
    assert trx.collection("accounts").get("a")["balance"] == 100
    assert refusal(lambda: trx.collection("accounts").update({"_key": "a", "balance": 6}))[1] == CONFLICT
    assert trx.abort_transaction()
    assert balances(db) == {"a": 5, "b": 100, "c": 7}


def test_concurrent_transfers_lose_nothing(db: Any) -> None:
    """Read, then write in one transaction, again on 1200: as many transfers arrive as were acknowledged."""
    barrier, deadline = Barrier(4), Deadline.after(20)

    def teller(_number: int) -> int:
        barrier.wait(5)
        done = 0
        while done < 3 and not deadline.over:
            trx = begin(db)
            try:
                transfer(trx, 1)
                trx.commit_transaction()
                done += 1
            except ArangoServerError as error:
                trx.abort_transaction()
                if error.error_code != CONFLICT:
                    raise
        return done

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(teller, range(4))) == [3] * 4, "conflicts left no way to go on"
    assert balances(db) == {"a": 88, "b": 112}
    assert db.collection("ledger").count() == 12


def test_a_failed_operation_does_not_end_its_transaction(db: Any) -> None:
    """A statement is undone by itself; the transaction goes on with what it wrote before and after."""
    trx = begin(db)
    trx.collection("ledger").insert({"_key": "before"})
    assert refusal(lambda: trx.collection("ledger").insert({"_key": "before"})) == (409, 1210)
    query = "FOR key IN ['x', 'y', 'before'] INSERT {_key: key} INTO ledger"
    assert refusal(lambda: trx.aql.execute(query)) == (409, 1210)
    assert trx.transaction_status() == "running"
    trx.collection("ledger").insert({"_key": "after"})
    assert trx.commit_transaction()
    assert sorted(entry["_key"] for entry in db.collection("ledger").all()) == ["after", "before"]


def test_only_declared_collections_can_be_written(db: Any) -> None:
    """`collections`: writing an undeclared one is 1652; reading one is allowed unless allowImplicit is false."""
    trx = begin(db, "ledger")
    assert refusal(lambda: trx.collection("accounts").update({"_key": "a", "balance": 0})) == (400, 1652)
    assert refusal(lambda: trx.aql.execute("REMOVE 'a' IN accounts"))[1] == 1652
    assert trx.collection("accounts").get("a")["balance"] == 100
    strict = begin(db, "ledger", allow_implicit=False)
    assert refusal(lambda: strict.aql.execute("FOR account IN accounts RETURN account"))[1] == 1652
    assert refusal(lambda: begin(db, "nothing")) == (404, 1203)
    assert trx.abort_transaction()
    assert strict.abort_transaction()
    assert balances(db) == {"a": 100, "b": 100}


def test_an_ended_transaction_stays_ended(db: Any) -> None:
    """Status: ending it the same way again is harmless, the other way is 1653; an unknown one is 404 with 1655."""
    committed, aborted, running = begin(db), begin(db), begin(db)
    committed.collection("ledger").insert({"_key": "kept"})
    for _ in range(2):
        assert committed.commit_transaction()
        assert aborted.abort_transaction()
    assert refusal(committed.abort_transaction) == (400, 1653)
    assert refusal(aborted.commit_transaction) == (400, 1653)
    assert (committed.transaction_status(), aborted.transaction_status()) == ("committed", "aborted")
    listed = {str(found["id"]) for found in db.list_transactions()}
    assert listed & {trx.transaction_id for trx in (committed, aborted, running)} == {running.transaction_id}
    assert refusal(lambda: aborted.collection("ledger").insert({}))[1] in (1653, 1654, 1655)
    assert running.abort_transaction()
    assert refusal(lambda: db.fetch_transaction("987654321987")) == (404, 1655)
    assert [entry["_key"] for entry in db.collection("ledger").all()] == ["kept"]


def test_an_exclusive_collection_is_waited_for_as_long_as_asked(db: Any) -> None:
    """`exclusive`: one transaction at a time; the next waits `lockTimeout` (error 18) or gets it when it is free."""
    holder = db.begin_transaction(exclusive=["ledger"])
    holder.collection("ledger").insert({"by": "holder"})
    began = time.monotonic()
    assert refusal(lambda: db.begin_transaction(exclusive=["ledger"], lock_timeout=1)) == (500, 18)
    assert 0.9 <= time.monotonic() - began < 5
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: db.begin_transaction(exclusive=["ledger"], lock_timeout=8))
        assert holder.commit_transaction()
        after = waiting.result(9)
    assert [entry["by"] for entry in after.collection("ledger").all()] == ["holder"]
    assert after.abort_transaction()


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_an_idle_transaction_is_aborted_and_a_used_one_lives_on(db: Any) -> None:
    """`--transaction.streaming-idle-timeout`, 60 s: locks of a client that is gone are freed, each operation starts
    the time again. Afterwards the transaction is 1654, or 1655 once it is forgotten."""
    idle, used = begin(db), begin(db, "ledger")
    idle.collection("accounts").update({"_key": "a", "balance": 1})
    began = time.monotonic()

    def freed() -> float:
        used.collection("ledger").insert({})
        try:
            db.collection("accounts").update({"_key": "a", "balance": 2})
        except ArangoServerError as error:
            raise NotYet(f"error {error.error_code} after {time.monotonic() - began:.0f} s") from error
        return time.monotonic() - began

    waited = poll(freed, Deadline.after(IDLE + 30), "the idle transaction's lock to be free", interval=2)
    assert waited >= IDLE - 1, f"it was aborted after {waited:.1f} s already"
    assert refusal(idle.commit_transaction)[1] in (1653, 1654, 1655)
    assert used.commit_transaction()
    assert balances(db) == {"a": 2, "b": 100}
    assert db.collection("ledger").count() >= IDLE // 4
