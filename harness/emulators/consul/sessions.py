"""Sessions: the liveness that locks hang on. A session ends with its TTL, its checks, its node, or by request.

Sources: the session page of the HTTP API; measured: invalidation comes 2 x TTL after the last renewal, and a key whose
holder was invalidated (or destroyed) cannot be locked again for the session's lock delay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.emulators.go_durations import SECOND, format_duration, parse_duration
from harness.emulators.runner import Defects

from .catalog import Catalog
from .errors import ConsulError
from .kv import KV
from .rows import Session, new_id
from .store import Store
from .timers import Timers

TABLE = "sessions"
TTL_FACTOR = 2
TTL_MAX = 86_400 * SECOND
LOCK_DELAY_DEFAULT = 15 * SECOND
LOCK_DELAY_MAX = 60 * SECOND


class Sessions:
    """Sessions by id. `ttl_min` is `session_ttl_min` in nanoseconds."""

    def __init__(
        self, store: Store, catalog: Catalog, kv: KV, timers: Timers, defects: Defects, ttl_min: int = 10 * SECOND
    ) -> None:
        self._store, self._catalog, self._kv = store, catalog, kv
        self._timers, self._defects, self._ttl_min = timers, defects, ttl_min
        self._rows: dict[str, Session] = store.table(TABLE, Session)
        self._delays: dict[str, float] = {}
        catalog.on_lost = lambda node, check: self._end(lambda s: s.node == node and check in _checks(s))
        catalog.on_node_lost = lambda node: self._end(lambda s: s.node == node)

    def find(self, session_id: str) -> Session | None:
        """A session by id. Raises ConsulError for what is not a UUID."""
        if len(session_id) != 36:
            raise ConsulError("failed session lookup: index error: UUID must be 36 characters")
        return self._rows.get(session_id)

    def listed(self) -> tuple[int, list[Session]]:
        """(index, sessions sorted by id)."""
        return max(1, self._store.at(TABLE)), [row for _, row in sorted(self._rows.items())]

    def create(self, request: dict[str, Any], node: str, lock_delay: int | None) -> str:
        """Create a session on `node` unless the request names another; its id. Raises ConsulError."""
        session = Session(new_id(), request.get("Name", ""), request.get("Node") or node)
        session.lock_delay = LOCK_DELAY_DEFAULT if lock_delay is None else lock_delay
        session.behavior = request.get("Behavior") or "release"
        session.ttl = request.get("TTL", "")
        session.node_checks = request.get("NodeChecks", request.get("Checks", ["serfHealth"]))
        named = [{"ID": c.get("ID", ""), "Namespace": c.get("Namespace", "")} for c in request.get("ServiceChecks", [])]
        session.service_checks = named or None
        if session.behavior not in {"release", "delete"}:
            raise ConsulError(f"Invalid Behavior setting '{session.behavior}'")
        self._verify_ttl(session.ttl)
        with self._store.commit():
            self._verify_checks(session)
            session.create_index = session.modify_index = self._store.index
            self._store.put(TABLE, session.id, session)
            self._store.touch(TABLE)
        self.renew(session)
        return session.id

    def _verify_ttl(self, text: str) -> None:
        try:
            ttl = parse_duration(text) if text else 0
        except ValueError as error:
            raise ConsulError(f"Session TTL '{text}' invalid: {error}") from None
        if ttl and not self._ttl_min <= ttl <= TTL_MAX:
            limits = f"{format_duration(self._ttl_min)}={format_duration(TTL_MAX)}"
            raise ConsulError(f"Invalid Session TTL '{ttl}', must be between [{limits}]")

    def _verify_checks(self, session: Session) -> None:
        if session.node not in self._catalog.nodes:
            raise ConsulError("Missing node registration")
        for check_id in _checks(session):
            check = self._catalog.checks.get((session.node, check_id))
            if check is None:
                raise ConsulError(f"Missing check '{check_id}' registration")
            if check.status == "critical":
                raise ConsulError(f"Check '{check_id}' is in critical state")

    def renew(self, session: Session) -> None:
        """Start the TTL anew."""
        ttl = parse_duration(session.ttl) if session.ttl else 0
        if ttl and "session-ttl-ignored" not in self._defects:
            self._timers.at(("session", session.id), TTL_FACTOR * ttl / SECOND, lambda: self.destroy(session.id))

    def rearm(self) -> None:
        """After a restart: every TTL starts anew, and lock delays (kept in memory only) are gone."""
        self._delays.clear()
        for session in self._rows.values():
            self.renew(session)

    def destroy(self, session_id: str) -> None:
        """End a session, letting go of its locks. Unknown ones are fine."""
        self._timers.cancel(("session", session_id))
        with self._store.commit():
            session = self.find(session_id)
            if session is None:
                return
            self._store.put(TABLE, session_id, None)
            self._store.touch(TABLE)
            held = self._kv.release(session_id, delete=session.behavior == "delete")
        delay = min(session.lock_delay, LOCK_DELAY_MAX)
        if delay > 0 and "lock-delay-skipped" not in self._defects:
            self._delays.update(dict.fromkeys(held, self._timers.now() + delay / SECOND))

    def delayed(self, key: str) -> bool:
        """Whether a key may not be locked yet, because its last holder was invalidated."""
        return self._delays.get(key, 0.0) > self._timers.now()

    def _end(self, condition: Callable[[Session], bool]) -> None:
        for session_id in [session.id for session in self._rows.values() if condition(session)]:
            self.destroy(session_id)


def _checks(session: Session) -> list[str]:
    return (session.node_checks or []) + [check["ID"] for check in session.service_checks or []]
