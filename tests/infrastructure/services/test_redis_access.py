"""Who gets in, and what a client's connections do when there are too few of them, or one breaks."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis import Redis, exceptions
from redis.connection import BlockingConnectionPool, ConnectionPool
from redis.exceptions import AuthenticationError, MaxConnectionsError, NoPermissionError

from harness.keeper.client import RemoteStack
from harness.pytest_plugin.fixtures import Namespace

Another = Callable[..., Redis]
SETTINGS = ("host", "port", "username", "password", "decode_responses", "socket_timeout", "retry")


@pytest.fixture
def another(redis: Redis) -> Iterator[Another]:
    """Makes a client like `redis` with some settings changed and a pool of its own."""
    made: list[Redis] = []

    def make(pool: type[ConnectionPool] = ConnectionPool, **changes: Any) -> Redis:
        known = redis.connection_pool
        given = {
            name: value for name, value in known.connection_kwargs.items() if name in SETTINGS or name[:4] == "ssl_"
        }
        made.append(Redis(connection_pool=pool(connection_class=known.connection_class, **(given | changes))))
        return made[-1]

    yield make
    for client in made:
        client.connection_pool.disconnect()


def test_the_password_of_the_stack_opens_the_default_user(redis: Redis) -> None:
    """ACL WHOAMI names who is logged in; `requirepass` sets the password of `default` ("ACL", compatibility)."""
    assert redis.ping() is True
    assert redis.acl_whoami() == "default"


def test_without_a_password_nothing_is_read_or_written(redis: Redis, another: Another, prefix: str) -> None:
    """NOAUTH for every command before AUTH ("AUTH"; `requirepass` in redis.conf)."""
    redis.set(prefix + "secret", "kept")
    stranger = another(password=None, protocol=2)
    attempts: list[Callable[[], Any]] = [
        lambda: stranger.get(prefix + "secret"),
        lambda: stranger.set(prefix + "secret", "taken"),
        lambda: stranger.info(),
        lambda: stranger.publish(prefix + "news", "hello"),
    ]
    for attempt in attempts:
        with pytest.raises(AuthenticationError, match="Authentication required"):
            attempt()
    assert redis.get(prefix + "secret") == "kept"


def test_a_wrong_password_is_refused_without_being_repeated(stack: RemoteStack, another: Another) -> None:
    """WRONGPASS ("AUTH"). Neither the tried nor the right password may turn up in the message."""
    wrong, right = secrets.token_hex(12), stack["redis"].credentials["password"].reveal()
    with pytest.raises(AuthenticationError, match="invalid username-password pair") as refused:
        another(password=wrong).ping()
    assert wrong not in str(refused.value)
    assert right not in str(refused.value)


def test_a_user_does_only_what_its_rules_grant(redis: Redis, another: Another, namespace: Namespace) -> None:
    """ACL: key patterns and command categories bound a user; a disabled one is turned away."""
    name, prefix = f"{namespace.name}-reader", str(namespace.of("redis"))
    redis.mset({prefix + "open:a": "1", prefix + "closed": "2"})
    redis.acl_setuser(
        name, enabled=True, passwords=["+pass"], keys=[prefix + "open:*"], categories=["+@read", "+@connection"]
    )
    try:
        reader = another(username=name, password="pass")
        assert reader.get(prefix + "open:a") == "1"
        with pytest.raises(NoPermissionError):
            reader.get(prefix + "closed")
        with pytest.raises(NoPermissionError):
            reader.set(prefix + "open:a", "9")
        redis.acl_setuser(name, enabled=False, reset_keys=False)
        with pytest.raises(AuthenticationError):
            another(username=name, password="pass").ping()
    finally:
        redis.acl_deluser(name)
    assert redis.get(prefix + "open:a") == "1"


def test_databases_do_not_see_each_other(redis: Redis, another: Another, prefix: str) -> None:
    """SELECT: a key belongs to one numbered database; MOVE is what takes it to another."""
    other = another(db=9)
    redis.set(prefix + "key", "in 0")
    assert other.get(prefix + "key") is None
    assert redis.move(prefix + "key", 9)
    assert (redis.get(prefix + "key"), other.get(prefix + "key")) == (None, "in 0")
    assert other.delete(prefix + "key") == 1


def test_an_empty_pool_refuses_at_once_and_recovers(another: Another) -> None:
    """redis-py, "Connection pools": `max_connections` is a bound; a connection given back is used again."""
    client = another(max_connections=2)
    held = [client.connection_pool.get_connection() for _ in range(2)]
    began = time.monotonic()
    with pytest.raises(MaxConnectionsError):
        client.ping()
    assert time.monotonic() - began < 0.5, "an exhausted pool kept its caller waiting"
    client.connection_pool.release(held.pop())
    assert client.ping() is True
    client.connection_pool.release(held.pop())


def test_a_blocking_pool_waits_for_a_connection_but_not_for_ever(another: Another) -> None:
    """redis-py, `BlockingConnectionPool(timeout=)`: wait that long for one to come back, then ConnectionError."""
    client = another(BlockingConnectionPool, max_connections=1, timeout=0.4)
    held = client.connection_pool.get_connection()
    began = time.monotonic()
    with pytest.raises(exceptions.ConnectionError, match="No connection available"):
        client.ping()
    assert 0.35 <= time.monotonic() - began < 2
    giving_back = threading.Timer(0.1, client.connection_pool.release, [held])
    giving_back.start()
    assert client.ping() is True
    giving_back.join()


def test_a_pool_replaces_a_connection_that_the_server_closed(redis: Redis, another: Another) -> None:
    """CLIENT KILL ID ends one connection: the caller is told, and the next call opens a new one."""
    client = another(max_connections=1)
    first = client.client_id()
    assert redis.client_kill_filter(_id=str(first)) == 1
    with suppress(exceptions.ConnectionError):  # a pool may also notice the end before it hands the connection out
        client.ping()
    assert client.client_id() > first


def test_a_call_that_gets_no_answer_ends_at_its_time_out(another: Another, prefix: str) -> None:
    """redis-py, `socket_timeout`: bounds the wait for an answer, and the connection is good again afterwards."""
    client = another(socket_timeout=0.3)
    began = time.monotonic()
    with pytest.raises(exceptions.TimeoutError):
        client.blpop(prefix + "never", timeout=2)
    assert 0.25 <= time.monotonic() - began < 1.5
    assert client.echo("still here") == "still here"
