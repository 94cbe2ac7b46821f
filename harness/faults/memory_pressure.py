"""The memory limit of a cache falls below what it holds: it evicts, or refuses writes, as its policy says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.errors import ServiceError
from harness.faults.base import Fault, Injection
from harness.ports import Handle, Squeezable
from harness.probes.poll import NotYet
from harness.services import kind_named


@dataclass(frozen=True)
class MemoryPressure(Fault):
    """Redis' `maxmemory`, set to `share` of what it uses now. Undone by the value it had, which the keeper knows."""

    name: ClassVar[str] = "memory_pressure"
    also: ClassVar[tuple[str, ...]] = ("memory",)
    needs: ClassVar[tuple[type, ...]] = (Handle, Squeezable)
    kinds: ClassVar[tuple[str, ...]] = ("redis",)
    share: float = 0.9

    def on(self, target: Any) -> Injection:
        """Lower the limit; put it back."""
        before = _limit(target)
        return Injection(
            f"maxmemory of {target.name} at {self.share:.0%} of what it uses",
            lambda: target.squeeze(self.share),
            target.release,
            lambda: _check(target, before),
        )


def _limit(target: Handle) -> int:
    """What the server says itself."""
    import redis

    client = kind_named("redis").client(target)
    try:
        return int(client.config_get("maxmemory")["maxmemory"])
    except redis.RedisError as error:
        raise ServiceError(f"{target.name}: {error}") from error
    finally:
        client.close()


def _check(target: Handle, wanted: int) -> None:
    if (found := _limit(target)) != wanted:
        raise NotYet(f"{target.name}: maxmemory is {found}, expected {wanted}")
