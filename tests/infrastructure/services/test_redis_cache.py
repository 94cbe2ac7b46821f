"""Cache invalidation on Redis: cache-aside, by key, by tag, by message, by time, and one loader at a time."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis, WatchError
from redis.connection import ConnectionPool

from harness.probes.poll import Deadline, NotYet, poll

RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
"""Give a lock back only to whom it belongs. Source: Redis, "SET", patterns."""

SLACK = 0.5
"""Seconds that a loaded machine may add to what a test sees."""


class Source:
    """The slow truth behind the cache. Counts how often it was asked."""

    def __init__(self, value: str) -> None:
        self.value, self.asked = value, 0
        self._lock = threading.Lock()

    def read(self) -> str:
        """The value now."""
        with self._lock:
            self.asked += 1
        return self.value


@pytest.fixture
def second(redis: Redis, prefix: str) -> Iterator[Redis]:
    """A client of its own, named by the prefix, speaking RESP2: there invalidations come as messages."""
    known, wanted = redis.connection_pool, ("host", "port", "username", "password", "socket_timeout", "retry")
    given = {name: value for name, value in known.connection_kwargs.items() if name in wanted or name[:4] == "ssl_"}
    given |= {"decode_responses": True, "protocol": 2, "client_name": prefix}
    with ConnectionPool(connection_class=known.connection_class, **given) as own:
        yield Redis(connection_pool=own)


def read_through(redis: Redis, key: str, source: Source, ttl: float = 30) -> str:
    """Cache-aside: the cached value, else the source's, which is cached."""
    cached = redis.get(key)
    if cached is not None:
        return str(cached)
    value = source.read()
    redis.set(key, value, px=int(ttl * 1000))
    return value


def single(redis: Any) -> Any:
    """A client bound to one connection, whose state (tracking, watched keys) therefore holds from call to call."""
    return redis.client()


def next_message(listener: Any, what: str) -> Any:
    """The next message of a subscription. Raises NotReady after five seconds."""

    def arrived() -> Any:
        message = listener.get_message(ignore_subscribe_messages=True, timeout=0.05)
        if message is None:
            raise NotYet("no message")
        return message["data"]

    return poll(arrived, Deadline.after(5), what, interval=0.001)


def subscribed(client: Any, channel: str) -> Any:
    """A subscription that the server has confirmed."""
    listener = client.pubsub()
    listener.subscribe(channel)

    def confirmed() -> None:
        message = listener.get_message(timeout=0.05)
        if message is None or message["type"] != "subscribe":
            raise NotYet(f"{message}")

    poll(confirmed, Deadline.after(5), f"the subscription of {channel}", interval=0.001)
    return listener


def test_the_source_is_asked_once_until_the_entry_is_dropped(redis: Redis, prefix: str) -> None:
    """Cache-aside: a hit costs the source nothing, DEL makes the next reader load what is true now."""
    source = Source("old")
    assert [read_through(redis, prefix + "item", source) for _ in range(5)] == ["old"] * 5
    assert source.asked == 1
    source.value = "new"
    assert read_through(redis, prefix + "item", source) == "old", "a cached entry changed by itself"
    assert redis.delete(prefix + "item") == 1
    assert [read_through(redis, prefix + "item", source) for _ in range(2)] == ["new"] * 2
    assert source.asked == 2


def test_an_entry_is_served_for_its_ttl_and_loaded_again_after(redis: Redis, prefix: str) -> None:
    """SET PX: the key is there until the time has passed, and gone then ("How Redis expires keys")."""
    source, began = Source("1"), time.monotonic()
    read_through(redis, prefix + "item", source, ttl=0.3)
    source.value = "2"

    def refreshed() -> float:
        if read_through(redis, prefix + "item", source, ttl=30) != "2":
            raise NotYet(f"still the old value, {redis.pttl(prefix + 'item')} ms left")
        return time.monotonic() - began

    served = poll(refreshed, Deadline.after(3), "the entry to be loaded again", interval=0.01)
    assert 0.295 <= served < 0.3 + SLACK, f"the old value was served for {served:.3f} s instead of 0.3 s"
    assert source.asked == 2


def test_replacing_a_value_clears_its_ttl_unless_told_to_keep_it(redis: Redis, prefix: str) -> None:
    """SET, "Options": any former time to live is discarded; KEEPTTL retains it. TTL: -1 without, -2 for no key."""
    redis.set(prefix + "item", "1", ex=30)
    redis.set(prefix + "item", "2", keepttl=True)
    assert 28 <= redis.ttl(prefix + "item") <= 30
    redis.set(prefix + "item", "3")
    assert redis.ttl(prefix + "item") == -1
    assert redis.ttl(prefix + "missing") == -2
    assert redis.getex(prefix + "item", px=5000) == "3"
    assert 4000 < redis.pttl(prefix + "item") <= 5000


def test_a_tag_invalidates_its_entries_and_nothing_else(redis: Redis, prefix: str) -> None:
    """A set per tag, read and deleted with its members in one script, so no entry slips in between ("EVAL")."""
    for key, tags in {"a": ("red",), "b": ("red", "blue"), "c": ("blue",)}.items():
        redis.set(prefix + key, key, ex=30)
        for tag in tags:
            redis.sadd(f"{prefix}tag:{tag}", prefix + key)
    drop = redis.register_script(
        "local n = 0 for _, key in ipairs(redis.call('smembers', KEYS[1])) do n = n + redis.call('del', key) end "
        "redis.call('del', KEYS[1]) return n"
    )
    assert drop(keys=[f"{prefix}tag:red"]) == 2
    assert redis.mget(prefix + "a", prefix + "b", prefix + "c") == [None, None, "c"]
    assert drop(keys=[f"{prefix}tag:red"]) == 0
    assert redis.scard(f"{prefix}tag:blue") == 2


def test_a_published_invalidation_reaches_every_listener_in_order(redis: Redis, prefix: str) -> None:
    """PUBLISH returns how many got it; messages of one publisher arrive in order, and only on their channel."""
    channel = prefix + "invalidate"
    listeners = [subscribed(redis, channel) for _ in range(3)]
    try:
        assert redis.publish(prefix + "elsewhere", "not for them") == 0
        for number in range(10):
            assert redis.publish(channel, f"item:{number}") == 3
        for listener in listeners:
            heard = [next_message(listener, f"message {number}") for number in range(10)]
            assert heard == [f"item:{number}" for number in range(10)]
    finally:
        for listener in listeners:
            listener.close()


def test_an_invalidation_is_not_kept_for_who_comes_late(redis: Redis, prefix: str) -> None:
    """Pub/Sub, delivery semantics: at most once. A cache that reconnects must therefore drop what it holds."""
    channel = prefix + "invalidate"
    assert redis.publish(channel, "missed") == 0
    late = subscribed(redis, channel)
    try:
        redis.publish(channel, "heard")
        assert next_message(late, "the message sent after subscribing") == "heard"
    finally:
        late.close()


def test_the_server_tells_a_tracking_client_what_has_changed(redis: Redis, second: Redis, prefix: str) -> None:
    """Client-side caching: CLIENT TRACKING REDIRECT sends each key that was read and then changed, once."""
    listener = subscribed(second, "__redis__:invalidate")
    try:
        redis.mset({prefix + "read": "1", prefix + "unread": "1"})
        (channel,) = (client for client in redis.client_list(_type="pubsub") if client["name"] == prefix)
        with single(second) as reader:
            reader.client_tracking_on(clientid=int(channel["id"]))
            assert reader.get(prefix + "read") == "1"
            redis.set(prefix + "unread", "2")
            redis.set(prefix + "read", "2")
            assert next_message(listener, "the invalidation of the key that was read") == [prefix + "read"]
    finally:
        listener.close()


def test_only_one_of_many_readers_loads_a_missing_entry(redis: Redis, prefix: str) -> None:
    """Stampede protection: SET NX PX picks one loader ("SET", patterns); the others wait for what it stores."""
    source, key = Source("value"), prefix + "item"

    def read(number: int) -> str:
        if redis.set(key + ":loading", number, nx=True, px=5000):
            redis.set(key, source.read(), ex=30)

        def cached() -> str:
            value = redis.get(key)
            if value is None:
                raise NotYet("nothing cached")
            return str(value)

        return poll(cached, Deadline.after(5), "the loader's value", interval=0.005)

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(read, range(20))) == ["value"] * 20
    assert source.asked == 1, f"the source was asked {source.asked} times"


def test_a_dead_loaders_lock_runs_out_and_is_not_its_to_release(redis: Redis, prefix: str) -> None:
    """SET, patterns: the lock ends by itself, and a script gives back only a lock that still holds our token."""
    lock, dead, alive = prefix + "lock", secrets.token_hex(8), secrets.token_hex(8)
    release = redis.register_script(RELEASE)
    began = time.monotonic()
    assert redis.set(lock, dead, nx=True, px=300)

    def taken_over() -> float:
        if not redis.set(lock, alive, nx=True, px=5000):
            raise NotYet(f"{redis.get(lock)!r} holds it for {redis.pttl(lock)} ms more")
        return time.monotonic() - began

    waited = poll(taken_over, Deadline.after(3), "the lock", interval=0.01)
    assert 0.295 <= waited < 0.3 + SLACK, f"the lock was held for {waited:.3f} s instead of 0.3 s"
    assert release(keys=[lock], args=[dead]) == 0
    assert redis.get(lock) == alive, "a loader that came back too late released another's lock"
    assert release(keys=[lock], args=[alive]) == 1


def test_a_load_that_an_invalidation_overtook_is_not_cached(redis: Redis, prefix: str) -> None:
    """WATCH on the entry's generation: what was read from the source before the change must not be stored after it."""
    source, key, generation = Source("old"), prefix + "item", prefix + "item:generation"
    with redis.pipeline() as pipe:
        watch: Any = pipe.watch
        watch(generation)
        loaded = source.read()
        source.value = "new"
        redis.incr(generation)
        pipe.multi()
        pipe.set(key, loaded)
        with pytest.raises(WatchError):
            pipe.execute()
    assert read_through(redis, key, source) == "new"
