"""Sessions: the liveness that locks hang on. A session ends with its TTL, its checks, its node, or by request.

Sources: the session page of the HTTP API; measured: invalidation comes 2 x TTL after the last renewal, and a key whose
holder was invalidated (or destroyed) cannot be locked again for the session's lock delay.
"""

from __future__ import annotations

from typing import Any

from harness.emulators.go_durations import SECOND, format_duration, parse_duration
from harness.emulators.runner import Defects

from .catalog import Catalog
from .errors import ConsulError
from .kv import KV
from .rows import Session, from_wire, new_id, to_wire
from .store import Store, dump_rows, load_rows
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
        self._rows: dict[str, Session] = {}
        self._delays: dict[str, float] = {}
        store.part(TABLE, self)
        store.command("session-create", self._create)
        store.command("session-destroy", self._destroy)
        catalog.on_lost = self._check_lost
        catalog.on_node_lost = lambda node: self._end(lambda session: session.node == node)

    def exists(self, session_id: str) -> bool:
        """Whether a session is alive. Raises ConsulError for what is not a UUID."""
        return self.find(session_id) is not None

    def find(self, session_id: str) -> Session | None:
        """A session by id. Raises ConsulError for what is not a UUID."""
        if len(session_id) != 36:
            raise ConsulError("failed session lookup: index error: UUID must be 36 characters")
        return self._rows.get(session_id)

    def listed(self, node: str | None = None) -> tuple[int, list[Session]]:
        """(index, sessions sorted by id), of one node if given."""
        rows = [row for _, row in sorted(self._rows.items()) if node is None or row.node == node]
        return max(1, self._store.at(TABLE)), rows

    def create(self, request: dict[str, Any], node: str, lock_delay: int | None) -> str:
        """Create a session on `node` unless the request names another; its id. Raises ConsulError."""
        session = Session(new_id(), request.get("Name", ""), request.get("Node") or node)
        session.lock_delay = LOCK_DELAY_DEFAULT if lock_delay is None else lock_delay
        session.behavior = request.get("Behavior") or "release"
        session.ttl = request.get("TTL", "")
        session.node_checks = request.get("NodeChecks", request.get("Checks", ["serfHealth"]))
        named = request.get("ServiceChecks")
        session.service_checks = (
            [{"ID": c.get("ID", ""), "Namespace": c.get("Namespace", "")} for c in named] if named else None
        )
        if session.behavior not in {"release", "delete"}:
            raise ConsulError(f"Invalid Behavior setting '{session.behavior}'")
        self._ttl(session)
        self._store.commit("session-create", row=to_wire(session))
        self._arm(session)
        return session.id

    def _ttl(self, session: Session) -> int:
        try:
            ttl = parse_duration(session.ttl) if session.ttl else 0
        except ValueError as error:
            raise ConsulError(f"Session TTL '{session.ttl}' invalid: {error}") from None
        if ttl and not self._ttl_min <= ttl <= TTL_MAX:
            limits = f"{format_duration(self._ttl_min)}={format_duration(TTL_MAX)}"
            raise ConsulError(f"Invalid Session TTL '{ttl}', must be between [{limits}]")
        return ttl

    def renew(self, session_id: str) -> Session | None:
        """Start the TTL anew; the session, or None when there is no such one."""
        session = self.find(session_id)
        if session:
            self._arm(session)
        return session

    def destroy(self, session_id: str) -> None:
        """End a session, letting go of its locks. Unknown ones are fine."""
        self.find(session_id)
        self._timers.cancel(("session", session_id))
        self._store.commit("session-destroy", session_id=session_id)

    def rearm(self) -> None:
        """After a restart: every TTL starts anew, and lock delays (kept in memory only) are gone."""
        self._delays.clear()
        for session in self._rows.values():
            self._arm(session)

    def _arm(self, session: Session) -> None:
        ttl = parse_duration(session.ttl) if session.ttl else 0
        if ttl and "session-ttl-ignored" not in self._defects:
            self._timers.at(("session", session.id), TTL_FACTOR * ttl / SECOND, lambda: self._expire(session.id))

    def _expire(self, session_id: str) -> None:
        if session_id in self._rows:
            self._store.commit("session-destroy", session_id=session_id)

    def delayed(self, key: str) -> bool:
        """Whether a key may not be locked yet, because its last holder was invalidated."""
        return self._delays.get(key, 0.0) > self._timers.now()

    def _create(self, row: dict[str, Any]) -> None:
        session = from_wire(Session, row)
        if session.node not in self._catalog.nodes:
            raise ConsulError("Missing node registration")
        for check_id in _checks(session):
            check = self._catalog.checks.get((session.node, check_id))
            if check is None:
                raise ConsulError(f"Missing check '{check_id}' registration")
            if check.status == "critical":
                raise ConsulError(f"Check '{check_id}' is in critical state")
        session.create_index = session.modify_index = self._store.index
        self._rows[session.id] = session
        self._store.touch(TABLE)

    def _destroy(self, session_id: str) -> None:
        session = self._rows.pop(session_id, None)
        if session is None:
            return
        self._store.touch(TABLE)
        held = self._kv.release(session_id, delete=session.behavior == "delete")
        delay = min(session.lock_delay, LOCK_DELAY_MAX)
        if delay > 0 and "lock-delay-skipped" not in self._defects:
            self._delays.update(dict.fromkeys(held, self._timers.now() + delay / SECOND))

    def _check_lost(self, node: str, check_id: str) -> None:
        self._end(lambda session: session.node == node and check_id in _checks(session))

    def _end(self, condition: Any) -> None:
        for session_id in [session.id for session in self._rows.values() if condition(session)]:
            self._destroy(session_id)

    def dump(self) -> Any:
        """All sessions."""
        return dump_rows(self._rows.values())

    def load(self, content: Any) -> None:
        """Replace all sessions."""
        self._rows = {row.id: row for row in load_rows(Session, content)}


def _checks(session: Session) -> list[str]:
    return (session.node_checks or []) + [check["ID"] for check in session.service_checks or []]
