"""Session management on Redis: a session is a hash with an expiry, indexed by its user."""

from __future__ import annotations

import secrets
import time
from threading import Barrier
from typing import Any

import pytest
from redis import Redis, WatchError

from harness.probes.at_once import at_once
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace

IDLE = 0.6
"""Seconds without a request after which a session of these tests ends."""


class Sessions:
    """What a web application does with Redis: `start`, `touch`, `end`, `end_all`."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self.redis, self.prefix = redis, prefix

    def key(self, token: str) -> str:
        """Where the session of a token is."""
        return f"{self.prefix}session:{token}"

    def start(self, user: str, idle: float = IDLE) -> str:
        """Fields, expiry and the user's index in one transaction: a session without expiry never exists."""
        token = secrets.token_urlsafe(16)
        with self.redis.pipeline(transaction=True) as pipe:
            pipe.hset(self.key(token), mapping={"user": user, "version": 0})
            pipe.pexpire(self.key(token), int(idle * 1000))
            pipe.sadd(f"{self.prefix}user:{user}", token)
            pipe.execute()
        return token

    def touch(self, token: str, idle: float = IDLE) -> bool:
        """One request: slide the expiry. False when the session is over."""
        return bool(self.redis.pexpire(self.key(token), int(idle * 1000)))

    def end_all(self, user: str) -> int:
        """Log a user out everywhere; returns how many sessions ended."""
        tokens = self.redis.smembers(f"{self.prefix}user:{user}")
        return self.redis.delete(*(self.key(str(token)) for token in tokens), f"{self.prefix}user:{user}") - 1


@pytest.fixture
def sessions(redis: Redis, namespace: Namespace) -> Sessions:
    """A session store in this test's corner."""
    return Sessions(redis, str(namespace.of("redis")))


def wait_until_gone(redis: Redis, key: str, seconds: float) -> None:
    """Return when the key does not exist. Raises NotReady after `seconds`."""

    def gone() -> None:
        if redis.exists(key):
            raise NotYet(f"it is still there, with {redis.pttl(key)} ms to live")

    poll(gone, Deadline.after(seconds), f"{key} to be gone", interval=0.01)


def test_an_idle_session_ends_at_its_time_and_not_before(redis: Redis, sessions: Sessions) -> None:
    """EXPIRE, "Expire accuracy": within a millisecond; a loaded machine may add half a second."""
    began = time.monotonic()
    token = sessions.start("ada")
    assert redis.hget(sessions.key(token), "user") == "ada"
    wait_until_gone(redis, sessions.key(token), 3)
    lived = time.monotonic() - began
    assert IDLE - 0.005 <= lived < IDLE + 0.5, f"it lived {lived:.3f} s instead of {IDLE} s"
    assert sessions.touch(token) is False, "a session that was over came back"


def test_every_request_slides_the_expiry(redis: Redis, sessions: Sessions) -> None:
    """EXPIRE, "Refreshing expires": calling it again sets a new time; a session in use outlives its idle time."""
    token, deadline = sessions.start("ada"), time.monotonic() + 1.6 * IDLE
    while time.monotonic() < deadline:
        assert sessions.touch(token), "a session in use ended"
        assert redis.pttl(sessions.key(token)) > IDLE * 1000 - 300
        time.sleep(IDLE / 12)


def test_a_sliding_session_never_passes_its_absolute_end(redis: Redis, sessions: Sessions) -> None:
    """EXPIRE LT: sets the time only when it is earlier than the present one."""
    key = sessions.key(sessions.start("ada", idle=30))
    assert not redis.expire(key, 600, lt=True), "a later end was accepted"
    assert 29_000 < redis.pttl(key) <= 30_000
    assert redis.expire(key, 5, lt=True)
    assert 4_000 < redis.pttl(key) <= 5_000


def test_changing_a_session_leaves_its_expiry_alone(redis: Redis, sessions: Sessions) -> None:
    """EXPIRE: commands that alter a value keep its time to live; only replacing (SET) or PERSIST clears it."""
    key = sessions.key(sessions.start("ada", idle=30))
    redis.hset(key, "theme", "dark")
    redis.hincrby(key, "version", 1)
    assert 29_000 < redis.pttl(key) <= 30_000
    assert redis.persist(key)
    assert redis.pttl(key) == -1


def test_concurrent_requests_of_a_session_lose_no_field(redis: Redis, sessions: Sessions) -> None:
    """HSET changes one field: requests that store different things in one session do not overwrite each other."""
    key = sessions.key(sessions.start("ada", idle=30))

    def request(number: int) -> None:
        for step in range(20):
            redis.hset(key, f"cart:{number}", step)
            redis.hincrby(key, "version", 1)

    at_once(8, request)
    stored = redis.hgetall(key)
    assert {name: stored.get(name) for name in stored if str(name).startswith("cart:")} == {
        f"cart:{number}": "19" for number in range(8)
    }
    assert stored["version"] == str(8 * 20)


def test_of_two_updates_to_one_version_the_second_is_refused(redis: Redis, sessions: Sessions) -> None:
    """Transactions, optimistic locking: EXEC fails when a watched key has changed, so only one caller wins."""
    key = sessions.key(sessions.start("ada", idle=30))

    def update(number: int) -> bool:
        with redis.pipeline() as pipe:
            watch: Any = pipe.watch
            watch(key)
            meet.wait(5)
            pipe.multi()
            pipe.hset(key, mapping={"version": 1, "by": number})
            try:
                pipe.execute()
            except WatchError:
                return False
            return True

    meet = Barrier(6)
    won = at_once(6, update)
    assert won.count(True) == 1, won
    assert redis.hget(key, "by") == str(won.index(True)), "the loser's update is what is stored"


def test_ending_one_session_leaves_all_others(redis: Redis, sessions: Sessions) -> None:
    """Each session has a key of its own: neither its end nor its fields touch another, even of the same user."""
    one, two, other = sessions.start("ada", 30), sessions.start("ada", 30), sessions.start("bob", 30)
    redis.hset(sessions.key(one), "cart", "book")
    assert redis.hget(sessions.key(two), "cart") is None
    assert redis.delete(sessions.key(one)) == 1
    assert redis.hmget(sessions.key(two), ["user"]) == ["ada"]
    assert redis.hmget(sessions.key(other), ["user"]) == ["bob"]
    assert sessions.touch(one) is False


def test_logging_out_everywhere_ends_that_users_sessions_only(redis: Redis, sessions: Sessions) -> None:
    """DEL with many keys ends them together, and says how many there were."""
    mine = [sessions.start("ada", 30) for _ in range(5)]
    other = sessions.start("bob", 30)
    assert sessions.end_all("ada") == 5
    assert redis.exists(*(sessions.key(token) for token in mine)) == 0
    assert redis.exists(sessions.key(other)) == 1


def test_a_renamed_session_keeps_fields_and_expiry_under_the_new_token_only(redis: Redis, sessions: Sessions) -> None:
    """RENAME moves value and time to live (EXPIRE, "Keys with an expire"): the guard against session fixation."""
    old = sessions.start("ada", 30)
    new = secrets.token_urlsafe(16)
    assert redis.renamenx(sessions.key(old), sessions.key(new))
    assert redis.exists(sessions.key(old)) == 0
    assert redis.hget(sessions.key(new), "user") == "ada"
    assert 28_000 < redis.pttl(sessions.key(new)) <= 30_000
    taken = sessions.start("bob", 30)
    assert not redis.renamenx(sessions.key(new), sessions.key(taken)), "another user's session was overwritten"
