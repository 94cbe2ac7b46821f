"""Consul's key/value store. Documents: HTTP API "KV Store" and "Transactions"; `kv_max_value_size`."""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from typing import Any

from harness.model import Endpoint
from harness.probes.at_once import at_once
from harness.probes.http import Answer, ask

LIMIT = 524_288
"""Bytes of the largest value: `kv_max_value_size`, by default 512 KiB."""
CALLERS = 6


def put(http: Endpoint, key: str, value: bytes, query: str = "") -> bool:
    """Write, and say whether it was accepted."""
    answer = ask(http, f"/v1/kv/{key}{query}", "PUT", body=value, timeout=10)
    assert answer.status == 200, f"PUT {key}{query}: {answer.status} {answer.text}"
    return bool(answer.json())


def entry(http: Endpoint, key: str) -> Any:
    """The entry of a key, read from the leader; None when there is none."""
    answer = ask(http, f"/v1/kv/{key}?consistent", timeout=10)
    return answer.json()[0] if answer.status == 200 else None


def value(http: Endpoint, key: str) -> bytes | None:
    """The bytes of a key, None when there is none."""
    found = entry(http, key)
    return b64decode(found["Value"] or "") if found else None


def transact(http: Endpoint, *operations: dict[str, Any]) -> Answer:
    """One transaction of KV operations; values are given as bytes."""
    wire = [
        {"KV": {name: b64encode(part).decode() if name == "Value" else part for name, part in operation.items()}}
        for operation in operations
    ]
    return ask(http, "/v1/txn", "PUT", body=wire, timeout=10)


def test_a_value_reads_back_byte_for_byte_with_its_flags(consul: Any, prefix: str, rng: random.Random) -> None:
    """`Value` is a base64 blob of any bytes, `Flags` "an unsigned value between 0 and (2^64)-1"."""
    stored = {"bytes": bytes(range(256)), "large": rng.randbytes(100_000), "text": "grün".encode()}
    for name, blob in stored.items():
        assert consul.kv.put(prefix + name, blob, flags=2**64 - 1) is True
    for name, blob in stored.items():
        _, found = consul.kv.get(prefix + name, consistency="consistent")
        assert (found["Value"], found["Flags"], found["Key"]) == (blob, 2**64 - 1, prefix + name)
    assert consul.kv.delete(prefix, recurse=True) is True


def test_a_missing_key_is_told_apart_from_an_empty_value(http: Endpoint, prefix: str) -> None:
    """404 "if the key does not exist"; an empty value is `null` in an entry of its own. DELETE is idempotent."""
    assert ask(http, f"/v1/kv/{prefix}key").status == 404
    assert put(http, prefix + "key", b"")
    found = entry(http, prefix + "key")
    assert found["Value"] is None
    assert ask(http, f"/v1/kv/{prefix}key?raw").body == b""
    for _ in range(2):
        assert ask(http, f"/v1/kv/{prefix}key", "DELETE").json() is True
    assert ask(http, f"/v1/kv/{prefix}key").status == 404


def test_every_acknowledged_write_is_stored(http: Endpoint, prefix: str) -> None:
    """PUT answers `true` when the write was accepted: then it is there for every reader who asks the leader."""
    accepted = [f"{prefix}{caller}/{number}" for caller in range(CALLERS) for number in range(10)]
    at_once(CALLERS, lambda caller: [put(http, f"{prefix}{caller}/{number}", b"v") for number in range(10)])
    stored = ask(http, f"/v1/kv/{prefix}?keys&consistent").json()
    assert sorted(set(accepted) - set(stored)) == [], "acknowledged and not stored"


def test_of_writers_who_saw_the_same_state_one_wins(http: Endpoint, prefix: str) -> None:
    """`cas`: the key is set only if its ModifyIndex is the given one; 0 means only if it does not exist."""
    key = prefix + "config"
    created = at_once(CALLERS, lambda number: put(http, key, b"%d" % number, "?cas=0"))
    assert created.count(True) == 1, created
    assert value(http, key) == b"%d" % created.index(True)
    index = entry(http, key)["ModifyIndex"]
    changed = at_once(CALLERS, lambda number: put(http, key, b"n%d" % number, f"?cas={index}"))
    assert changed.count(True) == 1, changed
    assert value(http, key) == b"n%d" % changed.index(True), "a writer who was refused is what is stored"


def test_read_change_write_with_check_and_set_loses_no_update(http: Endpoint, prefix: str) -> None:
    """`cas` is what a counter without a lock needs: who loses the race reads again."""
    key = prefix + "counter"
    put(http, key, b"0")

    def add_five(_: int) -> None:
        done = 0
        while done < 5:
            found = entry(http, key)
            new = b"%d" % (int(b64decode(found["Value"])) + 1)
            done += put(http, key, new, f"?cas={found['ModifyIndex']}")

    at_once(CALLERS, add_five)
    assert value(http, key) == b"%d" % (5 * CALLERS)


def test_deleting_with_an_old_index_deletes_nothing(http: Endpoint, prefix: str) -> None:
    """DELETE `cas`: "unlike PUT, the index must be greater than 0", and the present ModifyIndex."""
    key = prefix + "key"
    put(http, key, b"1")
    old = entry(http, key)["ModifyIndex"]
    put(http, key, b"2")
    for stale in (0, old):
        assert ask(http, f"/v1/kv/{key}?cas={stale}", "DELETE").json() is False
    assert value(http, key) == b"2"
    assert ask(http, f"/v1/kv/{key}?cas={entry(http, key)['ModifyIndex']}", "DELETE").json() is True
    assert entry(http, key) is None


def test_a_prefix_lists_its_keys_sorted_and_folded(http: Endpoint, prefix: str) -> None:
    """`recurse` returns entries, `keys` names only, `separator` folds what lies deeper into one name."""
    for name in ("app/b", "app/a", "app/db/host", "app/db/port", "apple", "zoo"):
        put(http, prefix + name, name.encode())
    found = ask(http, f"/v1/kv/{prefix}app?recurse").json()
    names = ["app/a", "app/b", "app/db/host", "app/db/port", "apple"]
    assert [each["Key"] for each in found] == [prefix + name for name in names]
    assert [b64decode(each["Value"]).decode() for each in found] == names
    assert ask(http, f"/v1/kv/{prefix}app/?keys").json() == [prefix + name for name in names[:-1]]
    folded = ask(http, f"/v1/kv/{prefix}app/?keys&separator=/").json()
    assert folded == [f"{prefix}app/{name}" for name in ("a", "b", "db/")]
    assert ask(http, f"/v1/kv/{prefix}none?recurse").status == 404


def test_deleting_a_folder_leaves_its_neighbours(http: Endpoint, prefix: str) -> None:
    """DELETE `recurse`: "all keys which have the specified prefix", which the slash at its end makes a folder."""
    for name in ("app/a", "app/b/c", "app", "apple"):
        put(http, prefix + name, b"1")
    assert ask(http, f"/v1/kv/{prefix}app/?recurse", "DELETE").json() is True
    assert ask(http, f"/v1/kv/{prefix}?keys").json() == [prefix + "app", prefix + "apple"]


def test_a_value_may_have_512_kib_and_not_a_byte_more(http: Endpoint, prefix: str) -> None:
    """413 above `kv_max_value_size`; what was refused is not stored in part."""
    assert put(http, prefix + "fits", b"x" * LIMIT)
    refused = ask(http, f"/v1/kv/{prefix}large", "PUT", body=b"x" * (LIMIT + 1), timeout=10)
    assert refused.status == 413
    assert f"{LIMIT + 1} bytes" in refused.text
    assert f"max size: {LIMIT} bytes" in refused.text
    assert entry(http, prefix + "large") is None
    assert value(http, prefix + "fits") == b"x" * LIMIT


def test_a_request_that_makes_no_sense_is_refused_with_the_reason(http: Endpoint, prefix: str) -> None:
    """400 for a missing key name and for options that exclude each other; 405 for a method that is none."""
    key = f"/v1/kv/{prefix}key"
    unnamed = ask(http, "/v1/kv/", "PUT", body=b"1")
    assert (unnamed.status, unnamed.text) == (400, "Missing key name")
    conflict = ask(http, f"{key}?cas=0&acquire=abc", "PUT", body=b"1")
    assert conflict.status == 400
    assert conflict.text.startswith("Conflicting flags: ")
    assert ask(http, f"{key}?stale&consistent").status == 400
    post = ask(http, key, "POST", body=b"1")
    assert (post.status, post.text) == (405, "method POST not allowed")
    assert entry(http, prefix + "key") is None


def test_a_transaction_applies_all_of_its_operations(http: Endpoint, prefix: str) -> None:
    """Transactions: operations run in order within one write; all entries of it get the same ModifyIndex."""
    put(http, prefix + "old", b"1")
    done = transact(
        http,
        {"Verb": "set", "Key": prefix + "a", "Value": b"1"},
        {"Verb": "set", "Key": prefix + "b", "Value": b"2", "Flags": 7},
        {"Verb": "get", "Key": prefix + "a"},
        {"Verb": "delete", "Key": prefix + "old"},
    )
    assert done.status == 200, done.text
    assert b64decode(done.json()["Results"][2]["KV"]["Value"]) == b"1", "it did not read its own write"
    a, b = entry(http, prefix + "a"), entry(http, prefix + "b")
    assert a["ModifyIndex"] == b["ModifyIndex"]
    assert b["Flags"] == 7
    assert entry(http, prefix + "old") is None


def test_a_transaction_with_one_failing_operation_applies_none(http: Endpoint, prefix: str) -> None:
    """409 names the operation by `OpIndex` and says what was wrong; the ones before it are not applied."""
    put(http, prefix + "kept", b"1")
    failed = transact(
        http,
        {"Verb": "set", "Key": prefix + "new", "Value": b"1"},
        {"Verb": "delete", "Key": prefix + "kept"},
        {"Verb": "cas", "Key": prefix + "kept", "Value": b"2", "Index": 1},
    )
    assert failed.status == 409, failed.text
    (error,) = failed.json()["Errors"]
    assert error["OpIndex"] == 2
    assert failed.json()["Results"] is None
    assert entry(http, prefix + "new") is None, "an operation before the failing one was applied"
    assert value(http, prefix + "kept") == b"1"


def test_a_transaction_has_at_most_64_operations(http: Endpoint, prefix: str) -> None:
    """Transactions: "up to 64 operations"; more are refused whole, with 413."""
    operations = [{"Verb": "set", "Key": f"{prefix}{number}", "Value": b"1"} for number in range(65)]
    refused = transact(http, *operations)
    assert refused.status == 413
    assert "65 > 64" in refused.text
    assert ask(http, f"/v1/kv/{prefix}?keys").status == 404
    assert transact(http, *operations[:64]).status == 200
    assert len(ask(http, f"/v1/kv/{prefix}?keys").json()) == 64
