"""redis-py for experiments: one try per call, short time-outs, and what each of its errors says of the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.experiments.history import Result, unless_refused
from harness.experiments.workload import Careful, Record
from harness.model import Endpoint
from harness.ports import Handle

if TYPE_CHECKING:
    import redis

TIMEOUT = 0.5
"""Seconds to connect and to answer. Longer than any healthy answer here, shorter than any outage that is judged."""
NEVER_SENT = ("refused", "max number of clients", "Too many connections", "No connection available",
              "Timeout connecting", "No master found", "No route", "loading the dataset")  # fmt: skip


def connect(handle: Handle, timeout: float = TIMEOUT, at: Endpoint | None = None, pool: int = 8) -> redis.Redis:
    """A client of one server; `at` is another address of it, such as a link's."""
    import redis

    endpoint = at or handle.endpoint()
    password = handle.credentials.get("password")
    return redis.Redis(
        host=endpoint.host,
        port=endpoint.port,
        password=password.reveal() if password else None,
        **options(timeout),
        max_connections=pool,
    )


def options(timeout: float = TIMEOUT) -> dict[str, Any]:
    """What every client gets: no retries, because hidden retries hide faults."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "decode_responses": True,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
    }


def classify(error: Exception) -> Result:
    """`fail` when the server refused the command or never got it; `info` when the answer did not come."""
    import redis

    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return Result.FAIL if any(words in str(error) for words in NEVER_SENT) else Result.INFO
    if isinstance(error, redis.ResponseError):  # READONLY, NOREPLICAS, OOM, MISCONF: said before anything is done
        return Result.FAIL
    return unless_refused(error)


class RedisActor(Careful):
    """Holds one client, made by `make`, anew for every step when `fresh`."""

    def __init__(self, make: Callable[[], redis.Redis], number: int = 0, fresh: bool = False) -> None:
        self._make, self.number, self._fresh = make, number, fresh
        self.client = make()

    def classify(self, error: Exception) -> Result:
        """By redis-py's errors."""
        return classify(error)

    def renew(self) -> None:
        """A new connection, where every step is to have one."""
        if self._fresh:
            self.client.close()
            self.client = self._make()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


class Appends(RedisActor):
    """Records `add`: appends a unique element to a list. A list shows duplicates, which a set would hide."""

    def __init__(
        self, make: Callable[[], redis.Redis], key: str, number: int = 0, fresh: bool = False, size: int = 0
    ) -> None:
        super().__init__(make, number, fresh)
        self.key, self._padding = key, "." * size

    def step(self, number: int, record: Record) -> None:
        """One element, `client-step`, padded to make it heavier where asked for."""
        self.renew()
        value = f"{self.number}-{number}{self._padding}"
        record("add", self.key, value, lambda: self.client.rpush(self.key, value))


class Sets(RedisActor):
    """Records `set`: a new key every time, so that a policy has something to evict."""

    def __init__(self, make: Callable[[], redis.Redis], prefix: str, number: int = 0, size: int = 1000) -> None:
        super().__init__(make, number)
        self.prefix, self._value = prefix, "." * size

    def step(self, number: int, record: Record) -> None:
        """One key."""
        key = f"{self.prefix}:{self.number}:{number}"
        record("set", self.prefix, key, lambda: self.client.set(key, self._value))


class Touches(RedisActor):
    """Records `touch`: writes one key that is gone ten seconds later. What can be done to somebody's Redis."""

    def step(self, number: int, record: Record) -> None:
        """A connection, a write."""
        self.renew()
        key = f"harness:chaos:{self.number}"
        record("touch", key, number, lambda: self.client.set(key, number, px=10_000))


class Reads(RedisActor):
    """Records `get` of one key, which the story has set."""

    def __init__(self, make: Callable[[], redis.Redis], key: str, number: int = 0) -> None:
        super().__init__(make, number)
        self.key = key

    def step(self, number: int, record: Record) -> None:
        """One read."""
        del number
        record("get", self.key, None, lambda: self.client.get(self.key))


def read_list(make: Callable[[], redis.Redis], key: str) -> Callable[[Record], None]:
    """The last read of a workload that appends: the whole list, through a client of its own."""

    def final(record: Record) -> None:
        client = make()
        try:
            record("read", key, None, lambda: client.lrange(key, 0, -1))
        finally:
            client.close()

    return final
