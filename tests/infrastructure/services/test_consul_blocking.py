"""Blocking queries and events of Consul: who waits is told. Documents: HTTP API "Blocking Queries", "Event"."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from harness.model import Endpoint
from harness.probes.http import Answer, ask, expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace

WAIT = 4
"""Seconds that a query of these tests may block: far above how long a change takes to arrive."""
PROMPT = 1.5
"""Seconds within which a waiting query returns after the change. Measured: 2 ms; the rest is for a loaded machine."""


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """Where queries wait while the test goes on."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def index_of(answer: Answer) -> int:
    """The index that the next blocking query has to give."""
    return int(answer.headers["x-consul-index"])


def watch(pool: ThreadPoolExecutor, http: Endpoint, path: str, index: int, wait: str = f"{WAIT}s") -> Future[Any]:
    """Start a blocking query; its result is the answer and how long it took. Returns when it is surely waiting."""
    join = "&" if "?" in path else "?"

    def query() -> tuple[Answer, float]:
        began = time.monotonic()
        answer = ask(http, f"{path}{join}index={index}&wait={wait}", timeout=WAIT * 2)
        return answer, time.monotonic() - began

    waiting: Future[Any] = pool.submit(query)
    time.sleep(0.15)
    assert not waiting.done(), f"{path}: returned at once instead of waiting: {waiting.result()}"
    return waiting


def write(http: Endpoint, key: str, value: bytes) -> int:
    """Write a key and return its ModifyIndex."""
    expect(200, http, f"/v1/kv/{key}", "PUT", body=value)
    return int(expect(200, http, f"/v1/kv/{key}?consistent").json()[0]["ModifyIndex"])


def woken(waiting: Future[Any], changed: float) -> Answer:
    """The answer of a query that has to return promptly after the change."""
    answer, _ = waiting.result(WAIT * 2)
    late = time.monotonic() - changed
    assert late < PROMPT, f"the waiting query returned {late:.2f} s after the change"
    assert isinstance(answer, Answer)
    return answer


def test_a_change_of_the_key_wakes_who_waits_for_it(
    http: Endpoint, prefix: str, background: ThreadPoolExecutor
) -> None:
    """`index`: the query returns when the result's index is greater than the given one, with the new value."""
    index = write(http, prefix + "key", b"old")
    waiting = watch(background, http, f"/v1/kv/{prefix}key", index)
    changed = time.monotonic()
    new = write(http, prefix + "key", b"new")
    answer = woken(waiting, changed)
    assert b64decode(answer.json()[0]["Value"]) == b"new"
    assert index_of(answer) == new > index


def test_a_query_without_change_returns_after_its_wait(
    http: Endpoint, prefix: str, background: ThreadPoolExecutor
) -> None:
    """`wait`: "a maximum duration for the blocking request", and up to wait/16 more; the index stays what it was."""
    index = write(http, prefix + "key", b"same")
    waiting = watch(background, http, f"/v1/kv/{prefix}key", index, wait="800ms")
    answer, took = waiting.result(5)
    assert 0.8 <= took < 0.8 * 17 / 16 + 0.5, f"{took:.3f} s"
    assert index_of(answer) == index
    assert b64decode(answer.json()[0]["Value"]) == b"same"


def test_writes_that_change_nothing_here_wake_nobody(
    http: Endpoint, prefix: str, background: ThreadPoolExecutor
) -> None:
    """An existing key is watched by its own ModifyIndex: other keys, and the same value again, do not move it."""
    index = write(http, prefix + "key", b"same")
    waiting = watch(background, http, f"/v1/kv/{prefix}key", index, wait="700ms")
    assert write(http, prefix + "key", b"same") == index, "an equal value counted as a change"
    write(http, prefix + "other", b"1")
    answer, took = waiting.result(5)
    assert took >= 0.7, f"woken after {took:.3f} s by a write that changed nothing"
    assert index_of(answer) == index


def test_a_prefix_is_woken_by_what_comes_and_goes_below_it(
    http: Endpoint, prefix: str, background: ThreadPoolExecutor
) -> None:
    """`recurse` waits for any entry below the prefix: made, changed or deleted."""
    write(http, prefix + "a", b"1")
    path = f"/v1/kv/{prefix}?recurse"
    answer = expect(200, http, path)
    for change, names in (("PUT", ["a", "b"]), ("DELETE", ["a"])):
        waiting, changed = watch(background, http, path, index_of(answer)), time.monotonic()
        expect(200, http, f"/v1/kv/{prefix}b", change, body=b"1" if change == "PUT" else None)
        before, answer = index_of(answer), woken(waiting, changed)
        assert [entry["Key"] for entry in answer.json()] == [prefix + name for name in names]
        assert index_of(answer) > before


def test_the_index_of_a_key_never_goes_back(http: Endpoint, prefix: str) -> None:
    """Implementation details: clients must reset when it does, so a server that does it loses their updates."""
    seen = []
    for number in range(25):
        write(http, prefix + "key", b"%d" % number)
        seen.append(index_of(expect(200, http, f"/v1/kv/{prefix}key")))
    assert seen == sorted(set(seen)), f"not strictly growing: {seen}"


def test_a_health_query_is_woken_when_a_check_turns(
    http: Endpoint, namespace: Namespace, background: ThreadPoolExecutor
) -> None:
    """`/health/service/:service` blocks too: a client learns of a failing instance without asking again and again."""
    name = f"{namespace.of('consul')[:-1]}-api"
    expect(200, http, "/v1/agent/service/register", "PUT", body={"Name": name, "Check": {"TTL": "60s"}})
    expect(200, http, f"/v1/agent/check/pass/service:{name}", "PUT")
    path = f"/v1/health/service/{name}?passing"

    def passing() -> Answer:
        answer = expect(200, http, path)
        if len(answer.json()) != 1:
            raise NotYet(answer.text)
        return answer

    answer = poll(passing, Deadline.after(5), "the instance to pass")
    waiting, changed = watch(background, http, path, index_of(answer)), time.monotonic()
    expect(200, http, f"/v1/agent/check/fail/service:{name}", "PUT")
    assert woken(waiting, changed).json() == []


def test_an_index_of_the_future_does_not_return_early(http: Endpoint, prefix: str) -> None:
    """A client that is ahead (another server, a restored snapshot) waits like any other, and reads the true index."""
    index = write(http, prefix + "key", b"1")
    began = time.monotonic()
    answer = ask(http, f"/v1/kv/{prefix}key?index={index + 1_000_000}&wait=500ms", timeout=5)
    assert time.monotonic() - began >= 0.5
    assert index_of(answer) == index


def test_an_index_or_wait_that_is_none_is_refused(http: Endpoint, prefix: str) -> None:
    """400 names which of the two was wrong; neither is taken as zero."""
    write(http, prefix + "key", b"1")
    for query, said in (("index=abc", "Invalid index"), ("index=1&wait=5", "Invalid wait time")):
        refused = ask(http, f"/v1/kv/{prefix}key?{query}")
        assert (refused.status, refused.text) == (400, said)


def test_an_event_reaches_listeners_of_its_name_with_its_payload(
    http: Endpoint, namespace: Namespace, background: ThreadPoolExecutor
) -> None:
    """`/event/fire/:name` and `/event/list?name=`: delivered by gossip, filtered by name, the payload in base64."""
    name = f"{namespace.name}-deploy"
    empty = ask(http, f"/v1/event/list?name={name}")
    assert empty.json() == []
    waiting, changed = watch(background, http, f"/v1/event/list?name={name}", index_of(empty)), time.monotonic()
    expect(200, http, f"/v1/event/fire/{namespace.name}-other", "PUT", body=b"no")
    fired = expect(200, http, f"/v1/event/fire/{name}", "PUT", body=b"v2 \x00\xff").json()
    (event,) = woken(waiting, changed).json()
    assert (event["ID"], event["Name"]) == (fired["ID"], name)
    assert b64decode(event["Payload"]) == b"v2 \x00\xff"
    assert event["LTime"] > 0


def test_an_event_that_gossip_cannot_carry_is_refused(http: Endpoint, namespace: Namespace) -> None:
    """Serf, `UserEventSizeLimit`: 512 bytes with name and encoding, so that it fits a gossip packet."""
    name = f"{namespace.name}-large"
    expect(200, http, f"/v1/event/fire/{name}", "PUT", body=b"x" * 250)
    refused = ask(http, f"/v1/event/fire/{name}", "PUT", body=b"x" * 600)
    assert refused.status >= 400, f"accepted with {refused.status}"

    def listed() -> Any:
        events = ask(http, f"/v1/event/list?name={name}").json()
        if not events:
            raise NotYet("no event yet")
        return events

    (event,) = poll(listed, Deadline.after(5), "the event that fits")
    assert len(b64decode(event["Payload"])) == 250
