"""Redis as a cache in front of the store. It may fail: then every answer comes from the store, and is counted."""

from __future__ import annotations

import json
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .settings import Settings
from .telemetry import Telemetry

KEEP_NEWEST = """
local held = redis.call('GET', KEYS[1])
if held and cjson.decode(held).version >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
"""
"""A reader that was slow must not put an old version over a newer one."""


class Cache:
    """Items by key, the newest version that anybody has put."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._prefix, self._keep, self._telemetry = settings.prefix, round(settings.cache_seconds * 1000), telemetry
        self._redis = redis.Redis.from_url(
            settings.redis_url,
            decode_responses=True,
            socket_timeout=settings.timeout,
            socket_connect_timeout=settings.timeout,
            retry=Retry(NoBackoff(), 0),
            max_connections=128,
        )

    def get(self, key: str) -> dict[str, Any] | None:
        """The item, None when it is not there or the cache does not answer."""
        try:
            with self._telemetry.client_span("redis", "GET", **{"db.system.name": "redis"}):
                found = self._redis.get(f"{self._prefix}:item:{key}")
        except redis.RedisError as error:
            self._failed("get", error)
            return None
        self._telemetry.cache_requests.add(1, {"outcome": "miss" if found is None else "hit"})
        item: dict[str, Any] | None = json.loads(str(found)) if found is not None else None
        return item

    def put(self, item: dict[str, Any]) -> None:
        """Keep an item unless a newer version is kept. A failure is counted and logged, never raised."""
        try:
            with self._telemetry.client_span("redis", "EVAL", **{"db.system.name": "redis"}):
                key, version = f"{self._prefix}:item:{item['key']}", str(item["version"])
                self._redis.eval(KEEP_NEWEST, 1, key, json.dumps(item), version, str(self._keep))
        except redis.RedisError as error:
            self._failed("put", error)

    def check(self) -> None:
        """Raises RedisError when it does not answer."""
        self._redis.ping()

    def _failed(self, what: str, error: Exception) -> None:
        self._telemetry.cache_requests.add(1, {"outcome": "error"})
        self._telemetry.log("cache failed", level="warning", operation=what, error=f"{type(error).__name__}: {error}")
