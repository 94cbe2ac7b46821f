"""Redis: keys below `smoke/<id>/` that expire by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.errors import TargetDown, TargetExpired, TargetForbidden
from harness.ports import Handle
from harness.services import kind_named
from harness.services.redis import version_of
from harness.smoke.base import Probe, folder, mismatch
from harness.smoke.identity import ROOT, TTL

if TYPE_CHECKING:
    import redis

SCAN_WITHIN = 5.0
"""Seconds that looking for leftovers may take: a large keyspace is not walked to its end, its leftovers expire."""


class RedisProbe(Probe):
    """Needs `+info +role +scan +get +ttl +exists +set +del +multi +discard` on the keys `smoke/*`."""

    kind: ClassVar[str] = "redis"
    what_it_writes: ClassVar[str] = f"keys below {ROOT}/<id>/ that expire after {TTL} s"

    def identify(self, handle: Handle) -> str:
        """`INFO server`."""
        with logged_in(handle, "INFO") as client:
            return version_of(client.info("server"))

    def permitted(self, handle: Handle, identity: str) -> None:
        """What a write needs is checked when it is queued in a transaction, and the transaction is discarded."""
        with logged_in(handle, "SET and DEL below smoke/") as client:
            client.execute_command("MULTI")
            try:
                client.execute_command("SET", f"{folder(identity)}permitted", "", "EX", TTL)
                client.execute_command("DEL", f"{folder(identity)}permitted")
            finally:
                client.execute_command("DISCARD")

    def leftovers(self, handle: Handle) -> tuple[str, ...]:
        """The ids in the names of keys, as far as they are found in time."""
        return tuple(sorted({key.split("/")[1] for key in self._keys(handle, f"{ROOT}/*/*")}))

    def remove(self, handle: Handle, identity: str) -> None:
        """Delete what is found; the rest expires."""
        keys = self._keys(handle, f"{folder(identity)}*")
        with logged_in(handle, "DEL") as client:
            for key in keys:
                client.delete(key)

    def _keys(self, handle: Handle, pattern: str) -> list[str]:
        cursor, found, until = 0, list[str](), time.monotonic() + SCAN_WITHIN
        with logged_in(handle, "SCAN") as client:
            while True:
                cursor, page = client.scan(cursor, match=pattern, count=1000)
                found += page
                if cursor == 0 or time.monotonic() > until:
                    return found


@contextmanager
def logged_in(handle: Handle, operation: str) -> Iterator[Any]:
    """A client with one connection; what goes wrong with it is raised as what it means: TargetError."""
    import redis

    kind, endpoint = kind_named("redis"), handle.endpoint("redis")
    client: redis.Redis = kind.client(handle)
    told = f"{endpoint.url}: {operation}: "
    try:
        with client.client() as single:  # type: ignore[no-untyped-call]
            yield single
    except redis.AuthenticationError as error:
        raise TargetExpired(f"{told}{error}", "the password is missing, mistyped or withdrawn") from error
    except redis.exceptions.NoPermissionError as error:
        raise TargetForbidden(
            f"{told}{error}", "grant it with ACL SETUSER; docs/smoke.md has what is needed"
        ) from error
    except (redis.TimeoutError, redis.BusyLoadingError) as error:
        raise TargetDown(f"{told}{error}", "is it loading, paused or overloaded?") from error
    except (redis.ConnectionError, redis.exceptions.InvalidResponse) as error:
        raise mismatch(endpoint, "redis", f"{type(error).__name__}: {error}") from error
    except redis.ResponseError as error:
        raise TargetDown(f"{told}{error}", "it answers and does not take this") from error
    finally:
        kind.close_client(client)
