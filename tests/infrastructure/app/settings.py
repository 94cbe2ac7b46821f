"""Configuration, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """`name` is what the instances of one service share; `prefix` comes before every key in Redis (`prefix:`) and
    Consul (`prefix/`).

    `checked_at` is where the registry reaches it, when that is not host and port.
    Times in seconds. `timeout` bounds each call of a dependency. Port 0 takes a free one and tells it in the log.
    """

    name: str
    instance: str
    host: str
    consul_url: str
    redis_url: str = field(repr=False)
    arango_url: str = ""
    arango_database: str = ""
    arango_password: str = field(default="", repr=False)
    otlp_url: str = ""
    prefix: str = ""
    port: int = 0
    checked_at: str = ""
    timeout: float = 5.0
    cache_seconds: float = 60.0


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from `APP_*`. Raises KeyError for one that is needed and missing."""
    return Settings(
        name=environment["APP_NAME"],
        instance=environment["APP_INSTANCE"],
        host=environment["APP_HOST"],
        consul_url=environment["APP_CONSUL_URL"],
        redis_url=environment["APP_REDIS_URL"],
        arango_url=environment["APP_ARANGO_URL"],
        arango_database=environment["APP_ARANGO_DATABASE"],
        arango_password=environment["APP_ARANGO_PASSWORD"],
        otlp_url=environment["APP_OTLP_URL"],
        prefix=environment["APP_PREFIX"],
        port=int(environment.get("APP_PORT", "0")),
        checked_at=environment.get("APP_CHECKED_AT", ""),
        timeout=float(environment.get("APP_TIMEOUT", "5")),
        cache_seconds=float(environment.get("APP_CACHE_SECONDS", "60")),
    )
