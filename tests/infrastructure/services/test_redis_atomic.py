"""All or nothing on Redis: transactions, watched keys, scripts."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis, WatchError
from redis.exceptions import NoScriptError, ResponseError


def transaction(redis: Redis) -> Any:
    """A pipeline that ends in MULTI/EXEC; its commands can be chained, which redis-py's types do not say."""
    return redis.pipeline(transaction=True)


def test_nobody_sees_half_of_a_transaction(redis: Redis, prefix: str) -> None:
    """Transactions: commands of one EXEC run without another client's in between, however long it is."""
    one, two, stop = prefix + "one", prefix + "two", prefix + "stop"
    redis.mset({one: 100, two: 100})

    def move(_: int) -> None:
        for _ in range(100):
            with transaction(redis) as pipe:
                pipe.decrby(one, 1).set(prefix + "long", "x" * 100_000).incrby(two, 1)
                pipe.execute()
        redis.set(stop, "1")

    def look(_: int) -> list[int]:
        sums = []
        while not redis.exists(stop):
            first, second = (int(str(value)) for value in redis.mget(one, two))
            sums.append(first + second)
        return sums

    with ThreadPoolExecutor(2) as pool:
        looking = pool.submit(look, 0)
        pool.submit(move, 0).result(20)
        seen = looking.result(20)
    assert set(seen) == {200}, f"{len(seen)} sums seen, among them {sorted(set(seen))[:5]}"
    assert redis.mget(one, two) == ["0", "200"]


def test_a_watched_key_that_changed_stops_the_transaction(redis: Redis, prefix: str) -> None:
    """WATCH: EXEC does nothing when a watched key was modified, whoever else changed what."""
    key, other = prefix + "balance", prefix + "other"
    redis.mset({key: 10, other: 0})
    with transaction(redis) as pipe:
        pipe.watch(key)
        redis.set(key, 99)
        pipe.multi()
        pipe.set(key, 11).set(other, 1)
        with pytest.raises(WatchError):
            pipe.execute()
        pipe.watch(key)
        redis.set(other, 5)
        pipe.multi()
        pipe.set(key, 12)
        assert pipe.execute() == [True], "a change of a key that was not watched stopped the transaction"
    assert redis.mget(key, other) == ["12", "5"]


def test_read_change_write_with_watch_loses_no_update(redis: Redis, prefix: str) -> None:
    """Optimistic locking using check-and-set: who loses the race reads again; every one of the changes counts."""
    key = prefix + "stock"
    redis.set(key, 0)

    def add_one(_: int) -> int:
        retries = 0
        with transaction(redis) as pipe:
            while True:
                try:
                    pipe.watch(key)
                    current = pipe.get(key)
                    pipe.multi()
                    pipe.set(key, int(current) + 1)
                    pipe.execute()
                except WatchError:
                    retries += 1
                else:
                    return retries

    with ThreadPoolExecutor(6) as pool:
        retries = sum(pool.map(add_one, range(90)))
    assert redis.get(key) == "90", f"after {retries} retries"


def test_a_command_that_cannot_be_queued_stops_the_whole_transaction(redis: Redis, prefix: str) -> None:
    """Errors inside a transaction: an error while queueing makes EXEC refuse all of it (EXECABORT)."""
    with transaction(redis) as pipe:
        pipe.set(prefix + "a", "1")
        pipe.execute_command("SET", prefix + "b")
        with pytest.raises(ResponseError, match="wrong number of arguments"):
            pipe.execute()
    assert redis.exists(prefix + "a", prefix + "b") == 0


def test_a_command_that_fails_when_run_undoes_nothing(redis: Redis, prefix: str) -> None:
    """What about rollbacks?: there are none. Those who need them use a script that checks first."""
    redis.set(prefix + "text", "abc")
    with transaction(redis) as pipe:
        pipe.set(prefix + "before", "1").incr(prefix + "text").set(prefix + "after", "1")
        answers = pipe.execute(raise_on_error=False)
    assert [isinstance(answer, ResponseError) for answer in answers] == [False, True, False]
    assert redis.mget(prefix + "before", prefix + "text", prefix + "after") == ["1", "abc", "1"]


def test_a_script_runs_without_others_in_between(redis: Redis, prefix: str) -> None:
    """Scripting with Lua, atomicity: a limit checked and counted in a script is never passed."""
    admit = redis.register_script(
        "local n = tonumber(redis.call('get', KEYS[1]) or '0') "
        "if n >= tonumber(ARGV[1]) then return 0 end redis.call('incr', KEYS[1]) "
        "redis.call('pexpire', KEYS[1], ARGV[2]) return 1"
    )
    with ThreadPoolExecutor(8) as pool:
        admitted = list(pool.map(lambda _: admit(keys=[prefix + "window"], args=[25, 30_000]), range(120)))
    assert admitted.count(1) == 25
    assert redis.get(prefix + "window") == "25"
    assert 0 < redis.pttl(prefix + "window") <= 30_000


def test_a_script_that_fails_keeps_what_it_had_written(redis: Redis, prefix: str) -> None:
    """Scripting with Lua: no rollback either; the error names the cause, `pcall` lets a script go on."""
    redis.set(prefix + "text", "abc")
    keys = [prefix + "written", prefix + "text"]
    with pytest.raises(ResponseError, match="not an integer"):
        redis.eval("redis.call('set', KEYS[1], '1') return redis.call('incr', KEYS[2])", 2, *keys)
    assert redis.get(prefix + "written") == "1"
    handled = redis.eval(
        "local r = redis.pcall('incr', KEYS[2]) return {type(r), redis.call('get', KEYS[2])}", 2, *keys
    )
    assert handled == ["table", "abc"]


def test_a_script_unknown_to_the_server_is_loaded_by_its_hash(redis: Redis, prefix: str) -> None:
    """EVALSHA: NOSCRIPT for a hash that is not loaded; redis-py's `Script` then loads it and tries again."""
    script = redis.register_script(f"return redis.call('incrby', KEYS[1], ARGV[1]) -- {secrets.token_hex(8)}")
    assert redis.script_exists(script.sha) == [False]
    with pytest.raises(NoScriptError):
        redis.evalsha(script.sha, 1, prefix + "n", "1")
    assert script(keys=[prefix + "n"], args=[5]) == 5
    assert redis.script_exists(script.sha) == [True]
    assert redis.evalsha(script.sha, 1, prefix + "n", "2") == 7
