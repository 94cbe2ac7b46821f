"""Locks of Consul: a session acquires a key. Documents: HTTP API "Session" and "KV Store"; "Sessions"."""

from __future__ import annotations

import time
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.model import Endpoint
from harness.probes.http import ask, expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace

TTL = 1.0
"""Seconds; the stack's `session_ttl_min` allows it. A session ends between once and twice its TTL after its renewal."""


@pytest.fixture
def key(namespace: Namespace) -> str:
    """A key to lock."""
    return f"{namespace.of('consul')}lock"


def session(http: Endpoint, **settings: Any) -> str:
    """The id of a new session; without checks of the node, so that only what the test names can end it."""
    body = {"NodeChecks": [], "LockDelay": "0s", **settings}
    return str(expect(200, http, "/v1/session/create", "PUT", body=body).json()["ID"])


def acquire(http: Endpoint, key: str, holder: str, value: bytes = b"") -> bool:
    """Try to take the lock."""
    return bool(expect(200, http, f"/v1/kv/{key}?acquire={holder}", "PUT", body=value).json())


def release(http: Endpoint, key: str, holder: str, value: bytes = b"") -> bool:
    """Give the lock back."""
    return bool(expect(200, http, f"/v1/kv/{key}?release={holder}", "PUT", body=value).json())


def destroy(http: Endpoint, holder: str) -> None:
    """End a session."""
    assert expect(200, http, f"/v1/session/destroy/{holder}", "PUT").json() is True


def entry(http: Endpoint, key: str) -> Any:
    """The key's entry, None when there is none."""
    answer = ask(http, f"/v1/kv/{key}?consistent")
    return answer.json()[0] if answer.status == 200 else None


def alive(http: Endpoint, holder: str) -> bool:
    """Whether the session exists."""
    return bool(expect(200, http, f"/v1/session/info/{holder}?consistent").json())


def until_acquired(http: Endpoint, key: str, holder: str, seconds: float) -> float:
    """How long it took to get the lock."""
    began = time.monotonic()

    def acquired() -> float:
        if not acquire(http, key, holder):
            raise NotYet(f"the lock is not to be had: {entry(http, key)}")
        return time.monotonic() - began

    return poll(acquired, Deadline.after(seconds), f"the lock on {key}", interval=0.02)


def test_a_lock_has_one_holder(http: Endpoint, key: str) -> None:
    """`acquire`: "if the lock is held, false is returned"; the value is the winner's and the key names its session."""
    sessions = [session(http) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(lambda holder: acquire(http, key, holder, holder.encode()), sessions))
    assert won.count(True) == 1, won
    held = entry(http, key)
    winner = sessions[won.index(True)]
    assert (held["Session"], b64decode(held["Value"]).decode(), held["LockIndex"]) == (winner, winner, 1)
    for holder in sessions:
        destroy(http, holder)


def test_a_released_lock_goes_to_the_next_at_once(http: Endpoint, key: str) -> None:
    """`release` is the holder's alone and without lock delay; LockIndex counts how often the lock was taken."""
    first, second = session(http, LockDelay="15s"), session(http)
    assert acquire(http, key, first, b"1")
    assert not release(http, key, second, b"stolen"), "somebody else released the lock"
    assert b64decode(entry(http, key)["Value"]) == b"1"
    assert release(http, key, first, b"done")
    assert "Session" not in entry(http, key)
    assert acquire(http, key, second, b"2")
    assert entry(http, key)["LockIndex"] == 2
    destroy(http, first)
    destroy(http, second)


def test_acquiring_again_keeps_the_lock_and_writes_the_value(http: Endpoint, key: str) -> None:
    """`acquire` by the holder: the value is updated, LockIndex is not ("KV Store", acquire)."""
    holder = session(http)
    assert acquire(http, key, holder, b"1")
    assert acquire(http, key, holder, b"2")
    held = entry(http, key)
    assert (b64decode(held["Value"]), held["LockIndex"], held["Session"]) == (b"2", 1, holder)
    destroy(http, holder)


def test_a_lock_is_advisory(http: Endpoint, key: str) -> None:
    """Sessions: locks are advisory: a plain write succeeds and leaves the holder; who needs a fence checks it."""
    holder, other = session(http), session(http)
    assert acquire(http, key, holder, b"1")
    assert expect(200, http, f"/v1/kv/{key}", "PUT", body=b"2").json() is True
    held = entry(http, key)
    assert (b64decode(held["Value"]), held["Session"]) == (b"2", holder)
    assert not acquire(http, key, other)
    fence = [{"KV": {"Verb": "check-session", "Key": key, "Session": other}}]
    assert ask(http, "/v1/txn", "PUT", body=fence).status == 409
    fence[0]["KV"]["Session"] = holder
    assert ask(http, "/v1/txn", "PUT", body=fence).status == 200
    destroy(http, holder)
    destroy(http, other)


def test_after_a_holder_is_gone_the_lock_waits_for_its_delay(http: Endpoint, key: str) -> None:
    """`LockDelay`: after an invalidated session nobody acquires for that long, so that a slow holder can notice."""
    first, second = session(http, LockDelay="1s"), session(http)
    assert acquire(http, key, first, b"kept")
    destroy(http, first)
    gone = time.monotonic()
    free = entry(http, key)
    assert "Session" not in free
    assert b64decode(free["Value"]) == b"kept", "behaviour `release` lost the value"
    assert not acquire(http, key, second), "the lock was had during its delay"
    until_acquired(http, key, second, 5)
    assert 0.9 <= time.monotonic() - gone < 2.5
    destroy(http, second)


def test_without_delay_the_lock_of_a_gone_holder_is_free_at_once(http: Endpoint, key: str) -> None:
    """`LockDelay` "0s": the default of 15 s does not apply."""
    first, second = session(http, LockDelay="0s"), session(http)
    assert acquire(http, key, first)
    destroy(http, first)
    assert acquire(http, key, second)
    destroy(http, second)


def test_a_session_that_is_not_renewed_ends_and_one_that_is_lives_on(http: Endpoint, namespace: Namespace) -> None:
    """`TTL`: "expiration ... no sooner than the TTL", and up to twice that; renewing starts it again."""
    idle_key, used_key = f"{namespace.of('consul')}idle", f"{namespace.of('consul')}used"
    idle, used = session(http, TTL=f"{TTL:.0f}s"), session(http, TTL=f"{TTL:.0f}s")
    began = time.monotonic()
    assert acquire(http, idle_key, idle)
    assert acquire(http, used_key, used)

    def ended() -> float:
        expect(200, http, f"/v1/session/renew/{used}", "PUT")
        if alive(http, idle):
            raise NotYet(f"{time.monotonic() - began:.1f} s old")
        return time.monotonic() - began

    lived = poll(ended, Deadline.after(3 * TTL + 2), "the idle session to end", interval=0.1)
    assert TTL <= lived < 2 * TTL + 1, f"it lived {lived:.2f} s with a TTL of {TTL} s"
    assert "Session" not in entry(http, idle_key)
    assert entry(http, used_key)["Session"] == used, "a renewed session lost its lock"
    assert ask(http, f"/v1/session/renew/{idle}", "PUT").status == 404
    destroy(http, used)


def test_an_ephemeral_key_goes_with_its_session(http: Endpoint, key: str) -> None:
    """`Behavior` "delete": locks of an invalidated session are deleted with their keys; others' keys stay."""
    holder = session(http, Behavior="delete")
    assert acquire(http, key, holder, b"here")
    expect(200, http, f"/v1/kv/{key}-plain", "PUT", body=b"1")
    destroy(http, holder)
    assert entry(http, key) is None
    assert entry(http, f"{key}-plain") is not None


def test_a_holder_whose_check_fails_loses_its_lock(http: Endpoint, namespace: Namespace, key: str) -> None:
    """Sessions: a session is invalidated when any of its checks turns critical: here the holder's own TTL check."""
    name = f"{namespace.name}-worker"
    expect(200, http, "/v1/agent/service/register", "PUT", body={"Name": name, "Check": {"TTL": "60s"}})
    refused = ask(http, "/v1/session/create", "PUT", body={"ServiceChecks": [{"ID": f"service:{name}"}]})
    assert refused.status == 500, "a session was bound to a critical check"
    expect(200, http, f"/v1/agent/check/pass/service:{name}", "PUT")
    holder = session(http, ServiceChecks=[{"ID": f"service:{name}"}])
    assert acquire(http, key, holder)
    expect(200, http, f"/v1/agent/check/fail/service:{name}", "PUT")

    def lost() -> None:
        if "Session" in entry(http, key) or alive(http, holder):
            raise NotYet(f"{entry(http, key)}")

    poll(lost, Deadline.after(5), "the lock to be taken from the failed holder", interval=0.02)


def test_a_lock_is_not_given_to_a_session_that_is_none(http: Endpoint, key: str) -> None:
    """An unknown or ended session is an error, not a `false`; nothing is written."""
    ended = session(http)
    destroy(http, ended)
    for holder in (ended, "11111111-2222-3333-4444-555555555555"):
        refused = ask(http, f"/v1/kv/{key}?acquire={holder}", "PUT", body=b"1")
        assert (refused.status, "invalid session" in refused.text) == (500, True), refused.text
    assert entry(http, key) is None


def test_settings_of_a_session_that_are_out_of_range_are_refused(http: Endpoint) -> None:
    """Create session: TTL between `session_ttl_min` and 86400s, Behavior `release` or `delete`."""
    for body, said in (
        ({"TTL": "86401s"}, "Invalid Session TTL"),
        ({"TTL": "100ms"}, "Invalid Session TTL"),
        ({"TTL": "soon"}, "invalid duration"),
        ({"Behavior": "keep"}, "Invalid Behavior"),
        ({"Node": "no-such-node"}, "Missing node registration"),
    ):
        refused = ask(http, "/v1/session/create", "PUT", body=body)
        assert refused.status >= 400
        assert said in refused.text, refused.text


def test_python_consul_locks_by_the_same_rules(consul: Any, key: str) -> None:
    """python-consul2: `session.create`, `kv.put(acquire=)`, `session.renew`, `session.destroy`."""
    first, second = (consul.session.create(name=name, ttl=30, lock_delay=0) for name in ("one", "two"))
    assert consul.kv.put(key, "1", acquire=first) is True
    assert consul.kv.put(key, "2", acquire=second) is False
    assert consul.session.renew(first)["Name"] == "one"
    assert consul.session.destroy(first) is True
    _, left = consul.kv.get(key)
    assert (left["Value"], left.get("Session")) == (b"1", None)
    consul.session.destroy(second)
