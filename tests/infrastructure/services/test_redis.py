"""Redis by itself: every data type keeps its promise. The commands are documented at https://redis.io/docs/latest/commands/."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from redis.connection import ConnectionPool
from redis.exceptions import ResponseError

from harness.probes.at_once import at_once

CALLERS = 8
SETTINGS = ("host", "port", "username", "password", "socket_timeout", "retry")


@contextmanager
def untranslated(redis: Redis) -> Iterator[Redis]:
    """A client of the same server whose answers are bytes."""
    pool = redis.connection_pool
    given = {name: value for name, value in pool.connection_kwargs.items() if name in SETTINGS or name[:4] == "ssl_"}
    with ConnectionPool(connection_class=pool.connection_class, **given) as own, Redis(connection_pool=own) as client:
        yield client


def test_a_value_reads_back_byte_for_byte(redis: Redis, prefix: str, rng: random.Random) -> None:
    """Keys and values are binary safe ("Keys and values": any binary sequence); a megabyte is no special case."""
    every_byte, large = bytes(range(256)), rng.randbytes(1_048_576)
    with untranslated(redis) as raw:
        binary_key = prefix.encode() + every_byte
        raw.set(binary_key, every_byte)
        raw.set(prefix + "large", large)
        assert raw.get(binary_key) == every_byte
        assert raw.get(prefix + "large") == large
        assert raw.strlen(prefix + "large") == len(large)
        raw.delete(binary_key)


def test_concurrent_increments_are_all_counted(redis: Redis, prefix: str) -> None:
    """INCR is atomic: callers that add at the same time each get a number of their own, and none is lost."""
    seen = at_once(CALLERS, lambda _: [redis.incr(prefix + "hits") for _ in range(50)])
    assert sorted(number for mine in seen for number in mine) == list(range(1, 50 * CALLERS + 1))
    assert redis.get(prefix + "hits") == str(50 * CALLERS)


def test_a_counter_refuses_what_is_no_number_and_keeps_its_value(redis: Redis, prefix: str) -> None:
    """INCR, "Return": an error when the value is not an integer or the result would leave 64 bits."""
    redis.mset({prefix + "text": "ten", prefix + "full": str(2**63 - 1)})
    with pytest.raises(ResponseError, match="not an integer"):
        redis.incr(prefix + "text")
    with pytest.raises(ResponseError, match="overflow"):
        redis.incr(prefix + "full")
    assert redis.mget(prefix + "text", prefix + "full") == ["ten", str(2**63 - 1)]


def test_set_if_absent_has_exactly_one_winner(redis: Redis, prefix: str) -> None:
    """SET NX, "Options": only set the key if it does not exist. Everybody else is told so."""
    won = at_once(CALLERS, lambda number: redis.set(prefix + "leader", number, nx=True, ex=30))
    assert won.count(True) == 1, won
    assert won.count(None) == CALLERS - 1, won
    assert redis.get(prefix + "leader") == str(won.index(True))


def test_fields_of_a_hash_change_independently(redis: Redis, prefix: str) -> None:
    """HSET, HINCRBY, HDEL touch the named field only; an emptied hash is gone ("Hashes")."""
    key = prefix + "user"
    assert redis.hset(key, mapping={"name": "ada", "visits": 1, "city": "turin"}) == 3
    assert redis.hset(key, "city", "london") == 0, "an existing field was counted as new"
    assert redis.hincrby(key, "visits", 41) == 42
    assert redis.hsetnx(key, "name", "eve") == 0
    assert redis.hgetall(key) == {"name": "ada", "visits": "42", "city": "london"}
    assert redis.hdel(key, "name", "visits", "city", "missing") == 3
    assert redis.exists(key) == 0


def test_a_list_keeps_order_at_both_ends_and_its_bound(redis: Redis, prefix: str) -> None:
    """RPUSH, LPUSH, LPOP, LTRIM: the order of pushing, whichever end; LTRIM keeps the given range only."""
    key = prefix + "log"
    redis.rpush(key, "b", "c", "d")
    assert redis.lpush(key, "a") == 4
    assert redis.lrange(key, 0, -1) == ["a", "b", "c", "d"]
    assert (redis.lpop(key), redis.rpop(key)) == ("a", "d")
    for number in range(20):
        redis.lpush(key, f"line {number}")
        redis.ltrim(key, 0, 4)
    assert redis.lrange(key, 0, -1) == [f"line {number}" for number in range(19, 14, -1)]


def test_sets_hold_each_member_once_and_combine(redis: Redis, prefix: str) -> None:
    """SADD ignores members that are there; SINTER, SUNION and SDIFF are those of the sets ("Sets")."""
    left, right = prefix + "left", prefix + "right"
    assert redis.sadd(left, "a", "b", "b", "c") == 3
    assert redis.sadd(left, "a", "d") == 1
    redis.sadd(right, "c", "d", "e")
    assert redis.sinter([left, right]) == {"c", "d"}
    assert redis.sunion([left, right]) == set("abcde")
    assert redis.sdiff([left, right]) == {"a", "b"}
    assert redis.smove(left, right, "a")
    assert redis.smismember(right, ["a", "b"]) == [1, 0]


def test_a_ranking_stays_sorted_as_scores_change(redis: Redis, prefix: str) -> None:
    """Sorted sets order by score, equal scores by member bytes; ZADD GT never lowers a score ("ZADD", options)."""
    key = prefix + "ranking"
    redis.zadd(key, {"cy": 10, "al": 10, "bo": 30})
    assert redis.zrange(key, 0, -1) == ["al", "cy", "bo"]
    assert redis.zincrby(key, 25, "al") == 35
    redis.zadd(key, {"bo": 1, "cy": 31}, gt=True)
    assert redis.zrange(key, 0, -1, desc=True) == ["al", "cy", "bo"]
    assert redis.zmscore(key, ["al", "cy", "bo", "nobody"]) == [35, 31, 30, None]
    assert redis.zrevrank(key, "cy") == 1
    assert redis.zrangebyscore(key, "(30", "+inf") == ["cy", "al"]
    assert redis.zcount(key, 30, 31) == 2


def test_bitmaps_answer_who_was_active_on_both_days(redis: Redis, prefix: str) -> None:
    """SETBIT returns the former bit, BITCOUNT counts, BITOP AND intersects ("Bitmaps")."""
    for user in (1, 5, 1_000_003):
        assert redis.setbit(prefix + "monday", user, 1) == 0
    for user in (5, 8, 1_000_003):
        redis.setbit(prefix + "tuesday", user, 1)
    assert redis.setbit(prefix + "tuesday", 8, 0) == 1
    redis.bitop("AND", prefix + "both", prefix + "monday", prefix + "tuesday")
    assert redis.bitcount(prefix + "both") == 2
    assert [redis.getbit(prefix + "both", user) for user in (1, 5, 8, 1_000_003)] == [0, 1, 0, 1]


def test_a_hyperloglog_counts_within_its_standard_error(redis: Redis, prefix: str) -> None:
    """PFCOUNT: standard error 0.81 %; four of these are allowed. Repeats and merged overlaps add nothing."""
    redis.pfadd(prefix + "a", *(f"visitor {number}" for number in range(10_000)))
    redis.pfadd(prefix + "b", *(f"visitor {number}" for number in range(5_000, 15_000)))
    before = redis.pfcount(prefix + "a")
    assert before == pytest.approx(10_000, rel=4 * 0.0081)
    assert redis.pfadd(prefix + "a", "visitor 0", "visitor 9999") == 0, "a repeated element changed the estimate"
    redis.pfmerge(prefix + "both", prefix + "a", prefix + "b")
    assert redis.pfcount(prefix + "both") == pytest.approx(15_000, rel=4 * 0.0081)


def test_a_radius_search_finds_the_near_places_nearest_first(redis: Redis, prefix: str) -> None:
    """GEOSEARCH by radius; the earth as a sphere is off by 0.5 % at most ("GEODIST", whose own example this is)."""
    key = prefix + "sicily"
    redis.geoadd(key, (13.361389, 38.115556, "palermo", 15.087269, 37.502669, "catania", 12.496365, 41.902782, "rome"))
    assert redis.geodist(key, "palermo", "catania", unit="km") == pytest.approx(166.2742, rel=0.005)
    near = redis.geosearch(key, longitude=15, latitude=37, radius=200, unit="km", sort="ASC")
    assert near == ["catania", "palermo"]


def test_a_command_for_another_type_is_refused_and_harms_nothing(redis: Redis, prefix: str) -> None:
    """Redis error replies: WRONGTYPE, and the value stays what it was."""
    redis.rpush(prefix + "list", "kept")
    for attempt in (redis.incr, redis.hgetall, redis.smembers, redis.get):
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            attempt(prefix + "list")
    assert redis.lrange(prefix + "list", 0, -1) == ["kept"]


def test_a_scan_visits_every_key_that_stays(redis: Redis, prefix: str) -> None:
    """SCAN, "Scan guarantees": an element present from start to end is returned, even while others come and go."""
    kept = {f"{prefix}kept:{number}" for number in range(300)}
    redis.mset(dict.fromkeys(kept, "1"))
    cursor, found, rounds = 0, set[Any](), 0
    while True:
        cursor, page = redis.scan(cursor, match=f"{prefix}kept:*", count=20)
        found.update(page)
        rounds += 1
        redis.mset({f"{prefix}passing:{rounds}:{number}": "1" for number in range(20)})
        redis.delete(*(f"{prefix}passing:{rounds - 1}:{number}" for number in range(20)))
        if cursor == 0:
            break
        assert rounds < 5_000, f"the cursor does not come back to zero; {len(found)} of {len(kept)} keys seen"
    assert found == kept
