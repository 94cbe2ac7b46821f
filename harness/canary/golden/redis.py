"""Redis: one of every structure, and queries whose answers no version may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from harness.canary.golden.base import Golden
from harness.ports import Handle

KEYS = 300


class Redis(Golden):
    """Strings to be counted, and a structure of each type to be asked."""

    kind: ClassVar[str] = "redis"

    def plant(self, client: Any, handle: Handle) -> list[str]:
        """Every reply is an acknowledgement: no pipeline."""
        del handle
        written = [name for name in _names() if client.set(name, f"value of {name}")]
        client.hset("golden:hash", mapping={f"f{number}": number for number in range(20)})
        client.rpush("golden:list", *range(20))
        client.sadd("golden:set", *range(0, 40, 2))
        client.zadd("golden:scores", {f"m{number}": number * 1.5 for number in range(20)})
        client.setbit("golden:bits", 1000, 1)
        client.pfadd("golden:counted", *range(100))
        client.geoadd("golden:places", (13.361389, 38.115556, "palermo", 15.087269, 37.502669, "catania"))
        client.xadd("golden:stream", {"n": "1"}, id="1-1")
        client.xadd("golden:stream", {"n": "2"}, id="2-1")
        client.xgroup_create("golden:stream", "readers", id="0")
        return written

    def kept(self, client: Any) -> list[str]:
        """Read one by one."""
        return [name for name in _names() if _text(client.get(name)) == f"value of {name}"]

    def ask(self, client: Any) -> Mapping[str, Any]:
        """Queries in Redis's own words."""
        asked = (
            "TYPE golden:hash", "HGET golden:hash f7", "HLEN golden:hash", "LRANGE golden:list 3 5",
            "LPOS golden:list 7", "SISMEMBER golden:set 4", "SISMEMBER golden:set 5", "SCARD golden:set",
            "ZRANGEBYSCORE golden:scores 3 9", "ZRANK golden:scores m9", "ZSCORE golden:scores m3",
            "BITCOUNT golden:bits", "STRLEN golden:bits", "PFCOUNT golden:counted",
            "GEODIST golden:places palermo catania km", "XLEN golden:stream", "XRANGE golden:stream 2 +",
            "XPENDING golden:stream readers", "TTL golden:hash", "EXISTS golden:none", "OBJECT REFCOUNT golden:list",
            "SORT golden:set LIMIT 0 3 DESC", "GETRANGE golden:000 0 4",
        )  # fmt: skip
        return {query: _answer(client, query) for query in asked}


def _answer(client: Any, query: str) -> str:
    from redis.exceptions import ResponseError

    try:
        return repr(client.execute_command(*query.split()))
    except ResponseError as error:  # an answer like any other, to be compared
        return f"{type(error).__name__}: {error}"


def _names() -> list[str]:
    return [f"golden:{number:03}" for number in range(KEYS)]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
