"""The memory limit of a cache falls below what it holds: it evicts, or refuses writes, as its policy says."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.errors import ServiceError
from harness.faults.base import Fault, Injection
from harness.ports import Handle
from harness.probes.poll import NotYet
from harness.services import kind_named

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class MemoryPressure(Fault):
    """Redis' `maxmemory`, set to `share` of what it uses now. Undone by the value that it had."""

    name: ClassVar[str] = "memory_pressure"
    needs: ClassVar[tuple[type, ...]] = (Handle,)
    kinds: ClassVar[tuple[str, ...]] = ("redis",)
    share: float = 0.9

    def on(self, target: Handle) -> Injection:
        """Lower the limit; put it back."""
        before = _limit(target)
        return Injection(
            f"maxmemory of {target.name} at {self.share:.0%} of what it uses",
            lambda: _set(target, max(1, int(self._used(target) * self.share))),
            lambda: _set(target, before),
            lambda: _check(target, before),
        )

    def _used(self, target: Handle) -> int:
        with _client(target) as client:
            return int(client.info("memory")["used_memory"])


@contextmanager
def _client(target: Handle) -> Iterator[Any]:
    import redis

    client = kind_named("redis").client(target)
    try:
        yield client
    except redis.RedisError as error:
        raise ServiceError(f"{target.name}: {error}") from error
    finally:
        client.close()


def _limit(target: Handle) -> int:
    with _client(target) as client:
        return int(client.config_get("maxmemory")["maxmemory"])


def _set(target: Handle, limit: int) -> None:
    with _client(target) as client:
        client.config_set("maxmemory", limit)


def _check(target: Handle, wanted: int) -> None:
    if (found := _limit(target)) != wanted:
        raise NotYet(f"{target.name}: maxmemory is {found}, expected {wanted}")
