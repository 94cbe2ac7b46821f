"""The KV store and transactions: what each write does, and which index each read carries."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from harness.emulators.consul.acl import Authorizer
from harness.emulators.consul.errors import ConsulError
from harness.emulators.consul.txn import TxnFailed
from tests.unit.emulators.consul.consul_rig import World, entry, make_world, put


def session(world: World, **body: Any) -> str:
    return world.server.sessions.create(body, "n1", None)


def test_a_write_takes_the_next_index_and_an_equal_one_changes_nothing(world: World) -> None:
    put(world, "a")
    first, index = entry(world, "a"), world.server.store.index
    assert (first.create_index, first.modify_index) == (index, index)
    put(world, "a")
    assert entry(world, "a") == first
    assert world.server.store.index == index + 1, "a write without effect still takes an index"
    put(world, "a", "other")
    assert entry(world, "a").modify_index == index + 2
    assert entry(world, "a").create_index == index


def test_an_empty_value_reads_as_none(world: World) -> None:
    put(world, "a", "")
    assert entry(world, "a").value is None


@pytest.mark.parametrize(
    ("index", "exists", "done"), [(0, False, True), (0, True, False), (7, False, False), (-1, True, True)]
)
def test_cas(world: World, index: int, exists: bool, done: bool) -> None:
    if exists:
        put(world, "a", "old")
    wanted = entry(world, "a").modify_index if index == -1 else index
    assert put(world, "a", "new", "cas", index=wanted) is done


def test_delete_cas_of_a_missing_key_succeeds(world: World) -> None:
    assert put(world, "gone", verb="delete-cas", index=5)
    put(world, "a")
    assert not put(world, "a", verb="delete-cas", index=0)
    assert put(world, "a", verb="delete-cas", index=entry(world, "a").modify_index)
    assert world.server.kv.get("a")[1] is None


def test_the_lock_index_counts_acquisitions_and_a_plain_write_resets_it(world: World) -> None:
    one, two = session(world, LockDelay=0), session(world, LockDelay=0)
    assert put(world, "l", verb="lock", session=one)
    assert put(world, "l", "again", "lock", session=one)
    assert entry(world, "l").lock_index == 1
    assert not put(world, "l", verb="lock", session=two)
    assert not put(world, "l", verb="unlock", session=two)
    assert put(world, "l", verb="unlock", session=one)
    assert (entry(world, "l").session, entry(world, "l").lock_index) == (None, 1)
    assert put(world, "l", verb="lock", session=two)
    assert entry(world, "l").lock_index == 2
    put(world, "l", "plain")
    assert (entry(world, "l").session, entry(world, "l").lock_index) == (two, 0)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("", "missing session"),
        ("abc", "failed session lookup: index error: UUID must be 36 characters"),
        ("1" * 36, f'invalid session "{"1" * 36}"'),
    ],
)
def test_acquire_with_a_bad_session(world: World, given: str, text: str) -> None:
    with pytest.raises(ConsulError, match=text):
        put(world, "l", verb="lock", session=given)


def test_prefix_reads_have_the_index_of_what_lies_below_them(world: World) -> None:
    for key in ("p/a", "p/b", "q"):
        put(world, key)
    index, found = world.server.kv.under("p/")
    assert [item.key for item in found] == ["p/a", "p/b"]
    assert index == entry(world, "p/b").modify_index
    assert world.server.kv.get("missing")[0] == entry(world, "q").modify_index, "a missing key follows the table"
    put(world, "p/a", verb="delete")
    assert world.server.kv.under("p/")[0] == world.server.store.index, "a deletion below the prefix counts"


def test_deleting_a_prefix_moves_its_own_readers_and_no_longer_ones(world: World) -> None:
    put(world, "p/a")
    put(world, "p/b")
    put(world, "p/b", verb="delete")
    earlier = world.server.store.index
    put(world, "p", verb="delete-tree")
    assert world.server.kv.under("p") == (world.server.store.index, [])
    assert world.server.kv.under("p/") == (earlier, []), "the real server buries the prefix, not its keys"


def txn(world: World, *operations: dict[str, Any]) -> list[dict[str, Any]]:
    return world.server.txn.run(list(operations), Authorizer())


def test_a_transaction_applies_all_or_nothing(world: World) -> None:
    put(world, "keep", "old")
    before, (index, _) = world.server.store.index, world.server.kv.get("nothing")
    with pytest.raises(TxnFailed) as failed:
        txn(
            world,
            {"Verb": "set", "Key": "keep", "Value": "eA=="},
            {"Verb": "delete", "Key": "keep"},
            {"Verb": "get", "Key": "n"},
        )
    assert failed.value.errors == [{"OpIndex": 2, "What": 'key "n" doesn\'t exist'}]
    assert entry(world, "keep").value == base64.b64encode(b"old").decode()
    assert world.server.kv.get("nothing")[0] == index
    assert world.server.kv.under("keep")[0] == entry(world, "keep").modify_index
    assert world.server.store.index == before + 1


def test_a_transaction_sees_its_own_writes(world: World) -> None:
    results = txn(world, {"Verb": "set", "Key": "a", "Value": "eA=="}, {"Verb": "get", "Key": "a"})
    assert [item["KV"]["Value"] for item in results] == [None, "eA=="]


def test_what_is_read_only_takes_no_index(world: World) -> None:
    before = world.server.store.index
    txn(world, {"Verb": "check-not-exists", "Key": "a"})
    assert world.server.store.index == before


def test_state_can_be_dumped_and_loaded(world: World) -> None:
    put(world, "a")
    put(world, "b")
    put(world, "b", verb="delete")
    other = make_world()
    other.server.store.load(world.server.store.dump(local=False))
    assert other.server.kv.under("") == world.server.kv.under("")
    assert other.server.kv.under("b") == world.server.kv.under("b"), "tombstones too"
