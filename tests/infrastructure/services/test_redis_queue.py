"""Queues on Redis without a framework: lists handed over, streams with groups, claims of what a dead consumer held."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from harness.probes.poll import Deadline, NotYet, poll


@pytest.fixture
def orders(redis: Redis, prefix: str) -> str:
    """A stream with the group `workers`, from its beginning."""
    redis.xgroup_create(prefix + "orders", "workers", id="0", mkstream=True)
    return prefix + "orders"


def add(redis: Redis, stream: str, count: int) -> list[str]:
    """Ids of that many new entries, numbered in field `n`."""
    return [str(redis.xadd(stream, {"n": number})) for number in range(count)]


def take(redis: Redis, stream: str, consumer: str, count: int, since: str = ">") -> list[str]:
    """Ids of entries that the consumer is given: new ones, or with an id those it already holds."""
    answer: Any = redis.xreadgroup("workers", consumer, {stream: since}, count=count)
    entries = answer[stream][0] if isinstance(answer, dict) and answer else answer[0][1] if answer else []
    return [identity for identity, _ in entries]


def holders(redis: Redis, stream: str) -> dict[str, tuple[str, int]]:
    """Who holds which unacknowledged entry, and how often it was delivered."""
    pending: Any = redis.xpending_range(stream, "workers", "-", "+", 100)
    return {entry["message_id"]: (entry["consumer"], entry["times_delivered"]) for entry in pending}


def test_a_waiting_consumer_wakes_as_soon_as_there_is_work(redis: Redis, prefix: str) -> None:
    """BLPOP, "Blocking behavior": the client waits until another pushes; measured in about a millisecond."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(redis.blpop, [prefix + "jobs"], 4)

        def blocked() -> None:
            if not any(client["cmd"] == "blpop" for client in redis.client_list()):
                raise NotYet("no client is in BLPOP")

        poll(blocked, Deadline.after(3), "the consumer to wait", interval=0.01)
        pushed = time.monotonic()
        redis.rpush(prefix + "jobs", "job")
        taken: Any = waiting.result(4)
        assert list(taken) == [prefix + "jobs", "job"]
        assert time.monotonic() - pushed < 0.5


def test_waiting_for_work_ends_at_its_time_out(redis: Redis, prefix: str) -> None:
    """BLPOP: nil when the time-out passed; the server may add its timer's 100 ms."""
    began = time.monotonic()
    assert redis.blpop([prefix + "never"], timeout=0.3) is None
    assert 0.29 <= time.monotonic() - began < 1.0


def test_a_job_in_progress_is_in_one_list_or_the_other(redis: Redis, prefix: str) -> None:
    """LMOVE, "Pattern: Reliable queue": taken and noted in one step, so a crash in between loses nothing."""
    queue, busy = prefix + "jobs", prefix + "busy:one"
    redis.rpush(queue, "a", "b", "c")
    assert redis.lmove(queue, busy, "LEFT", "RIGHT") == "a"
    assert (redis.lrange(queue, 0, -1), redis.lrange(busy, 0, -1)) == (["b", "c"], ["a"])
    assert redis.lmove(busy, queue, "RIGHT", "LEFT") == "a", "the recovered job did not come back"
    assert redis.lrange(queue, 0, -1) == ["a", "b", "c"]
    assert redis.lmove(busy, queue, "RIGHT", "LEFT") is None


def test_a_due_job_is_taken_by_one_of_many_schedulers(redis: Redis, prefix: str) -> None:
    """ZREM returns how many were removed: of all who see a due member, one removes it and so owns it."""
    now, key = time.time(), prefix + "later"
    redis.zadd(key, {f"job {number}": now - 1 for number in range(40)} | {"tomorrow": now + 86_400})

    def schedule(_: int) -> list[str]:
        due = [str(job) for job in redis.zrangebyscore(key, "-inf", now)]
        return [job for job in due if redis.zrem(key, job) == 1]

    with ThreadPoolExecutor(8) as pool:
        taken = Counter(job for mine in pool.map(schedule, range(8)) for job in mine)
    assert taken == Counter(f"job {number}" for number in range(40))
    assert redis.zrange(key, 0, -1) == ["tomorrow"]


def test_a_stream_keeps_what_was_added_in_order(redis: Redis, prefix: str) -> None:
    """XADD ids only grow, and an id that does not is refused; XRANGE reads between two ids ("Streams")."""
    stream = prefix + "events"
    ids = add(redis, stream, 50)
    assert ids == sorted(ids, key=lambda identity: tuple(map(int, identity.split("-"))))
    entries: Any = redis.xrange(stream, ids[10], ids[19])
    assert [(identity, fields["n"]) for identity, fields in entries] == [(ids[n], str(n)) for n in range(10, 20)]
    with pytest.raises(ResponseError, match="equal or smaller"):
        redis.xadd(stream, {"n": "past"}, id=ids[0])
    assert redis.xlen(stream) == 50


def test_a_bounded_stream_keeps_its_newest_entries(redis: Redis, prefix: str) -> None:
    """XADD MAXLEN = n: exactly n remain, the oldest go first."""
    stream = prefix + "events"
    for number in range(30):
        redis.xadd(stream, {"n": number}, maxlen=10, approximate=False)
    entries: Any = redis.xrange(stream)
    assert [fields["n"] for _, fields in entries] == [str(number) for number in range(20, 30)]


def test_a_group_gives_each_entry_to_one_consumer(redis: Redis, orders: str) -> None:
    """XREADGROUP: "each message is served to a different consumer"; together they get every one."""
    ids, lock, taken = add(redis, orders, 120), threading.Lock(), list[tuple[str, str]]()

    def consume(number: int) -> None:
        while mine := take(redis, orders, f"c{number}", 5):
            with lock:
                taken.extend((identity, f"c{number}") for identity in mine)
            redis.xack(orders, "workers", *mine)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(consume, range(6)))
    assert Counter(identity for identity, _ in taken) == Counter(ids)
    assert holders(redis, orders) == {}


def test_every_group_gets_every_entry(redis: Redis, orders: str) -> None:
    """Consumer groups: groups are independent; one's reading and acknowledging changes nothing for another."""
    redis.xgroup_create(orders, "audit", id="0")
    ids = add(redis, orders, 3)
    redis.xack(orders, "workers", *take(redis, orders, "c", 10))
    answer: Any = redis.xreadgroup("audit", "a", {orders: ">"})
    entries = answer[orders][0] if isinstance(answer, dict) else answer[0][1]
    assert [identity for identity, _ in entries] == ids


def test_what_is_not_acknowledged_stays_with_its_consumer(redis: Redis, orders: str) -> None:
    """XACK removes from the pending list; reading from id 0 gives a restarted consumer what it still holds."""
    ids = add(redis, orders, 4)
    assert take(redis, orders, "one", 3) == ids[:3]
    assert redis.xack(orders, "workers", ids[1]) == 1
    assert redis.xack(orders, "workers", ids[1]) == 0, "an entry was acknowledged twice"
    assert holders(redis, orders) == {ids[0]: ("one", 1), ids[2]: ("one", 1)}
    assert take(redis, orders, "one", 10, since="0") == [ids[0], ids[2]]
    assert take(redis, orders, "two", 10, since="0") == []
    assert take(redis, orders, "two", 10) == [ids[3]]


def test_a_dead_consumers_entries_are_claimed_when_idle_and_not_before(redis: Redis, orders: str) -> None:
    """XAUTOCLAIM min-idle-time: only what was held for so long changes hands, its delivery count going up."""
    ids = add(redis, orders, 3)
    held_since = time.monotonic()
    take(redis, orders, "dead", 3)
    early: Any = redis.xautoclaim(orders, "workers", "alive", min_idle_time=60_000)
    assert early[1] == []

    def claimed() -> Any:
        answer: Any = redis.xautoclaim(orders, "workers", "alive", min_idle_time=300, start_id="0-0")
        if not answer[1]:
            raise NotYet(f"nothing to claim: {holders(redis, orders)}")
        return [identity for identity, _ in answer[1]]

    assert poll(claimed, Deadline.after(3), "the dead consumer's entries", interval=0.01) == ids
    assert time.monotonic() - held_since >= 0.29, "entries were claimed before they were idle for 300 ms"
    assert holders(redis, orders) == dict.fromkeys(ids, ("alive", 2))


def test_of_two_claimers_one_gets_the_entry(redis: Redis, orders: str) -> None:
    """XCLAIM resets the idle time, so that a second claim with the same bound finds nothing."""
    (identity,) = add(redis, orders, 1)
    take(redis, orders, "dead", 1)
    time.sleep(0.25)

    def claim(number: int) -> list[Any]:
        answer: Any = redis.xclaim(orders, "workers", f"c{number}", 200, [identity])
        return list(answer)

    with ThreadPoolExecutor(6) as pool:
        won = [bool(entries) for entries in pool.map(claim, range(6))]
    assert won.count(True) == 1, won
    assert holders(redis, orders) == {identity: (f"c{won.index(True)}", 2)}


def test_a_group_is_made_once_and_must_exist(redis: Redis, orders: str) -> None:
    """XGROUP CREATE: BUSYGROUP for a second one of the name; XREADGROUP: NOGROUP without one."""
    with pytest.raises(ResponseError, match="BUSYGROUP"):
        redis.xgroup_create(orders, "workers")
    with pytest.raises(ResponseError, match="NOGROUP"):
        redis.xreadgroup("nobody", "c", {orders: ">"})
    assert [group["name"] for group in redis.xinfo_groups(orders)] == ["workers"]
