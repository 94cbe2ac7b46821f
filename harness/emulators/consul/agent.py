"""The agent's services and checks: registered here, kept alive here, and shown by the catalog as this node's.

The real agent holds rows of its own and pushes them; here they are the catalog's rows, and only the definitions of
checks are the agent's. Sources: the agent service and check pages of the HTTP API; captured answers of 1.8.7.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from harness.emulators.go_durations import SECOND
from harness.emulators.runner import Defects

from .catalog import Catalog
from .errors import ConsulError
from .rows import Check, Service, from_wire
from .store import Store
from .timers import Timers

OUTPUT_LIMIT = 4096
REAP_INTERVAL = 30.0
DEREGISTER_MIN = 60 * SECOND
SERVICE_MAINTENANCE = "_service_maintenance:"
_NO_REASON = "Maintenance mode is enabled for this service, but no reason was provided. This is a default message."
_TABLE = "definitions"
_OWN = {"consul", "serfHealth"}
"""The server's own service and check, which are not the agent's to show or to drop."""


class Monitors(Protocol):
    """Whatever runs the active (HTTP, TCP) checks."""

    def start(self, check_id: str, definition: dict[str, Any]) -> None:
        """Begin to run a check, replacing an earlier one of that id."""

    def stop(self, check_id: str) -> None:
        """Stop running a check; unknown ids are fine."""


class Agent:
    """What runs on node `node`. `clock` is wall-clock time, to tell after a restart what ran out."""

    def __init__(
        self,
        node: str,
        store: Store,
        catalog: Catalog,
        timers: Timers,
        defects: Defects,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.node, self._clock = node, clock
        self._store, self._catalog, self._timers, self._defects = store, catalog, timers, defects
        self.definitions: dict[str, dict[str, Any]] = store.table(_TABLE, local=True)
        self._critical_since: dict[str, float] = {}
        self.monitors: Monitors | None = None

    @property
    def services(self) -> dict[str, Service]:
        """The services of this node by id, without the server's own."""
        return {service.id: service for service in self._catalog.on_node(self.node) if service.id not in _OWN}

    @property
    def checks(self) -> dict[str, Check]:
        """The checks of this node by id, without the server's own."""
        return {check.check_id: check for check in self._catalog.checks_of(self.node) if check.check_id not in _OWN}

    def register_service(self, service: dict[str, Any], checks: list[dict[str, Any]]) -> None:
        """Register a service with the checks of its definition, whose ids are already chosen."""
        with self._store.commit():
            self._catalog.register({"Node": self.node, "SkipNodeUpdate": True, "Service": service})
            for check in self.checks.values():  # they show the name and tags of their service
                if check.service_id == service["ID"]:
                    self._catalog.put_check(check)
            for definition in checks:
                self.register_check(definition)

    def register_check(self, definition: dict[str, Any]) -> None:
        """Register one check, of a service or of the node; one that was there keeps its status."""
        check_id, old = definition["CheckID"], self.checks.get(definition["CheckID"])
        row = from_wire(Check, {**definition, "Node": self.node})
        if old and not definition.get("Status"):
            row = replace(row, status=old.status, output=old.output)
        else:
            # Counted from the first critical result, not from a registration that is critical until then.
            self._critical_since.pop(check_id, None)
        with self._store.commit():
            self._catalog.put_check(row)
            self._store.put(_TABLE, check_id, definition)
        self._arm(check_id)

    def deregister_service(self, service_id: str) -> None:
        """Take a service and its checks away."""
        with self._store.commit():
            for check in self.checks.values():
                if check.service_id == service_id:
                    self._disarm(check.check_id)
            self._catalog.deregister(self.node, service_id=service_id)

    def deregister_check(self, check_id: str) -> None:
        """Take a check away; unknown ones are fine."""
        with self._store.commit():
            self._disarm(check_id)
            self._catalog.deregister(self.node, check_id=check_id)

    def maintain(self, service_id: str, reason: str, *, enable: bool) -> None:
        """Switch maintenance mode of a service on or off: a critical check of its own."""
        check_id = f"{SERVICE_MAINTENANCE}{service_id}"
        if not enable:
            self.deregister_check(check_id)
        elif check_id not in self.checks:
            about = {"CheckID": check_id, "Name": "Service Maintenance Mode", "Notes": reason or _NO_REASON}
            self.register_check({**about, "Type": "maintenance", "ServiceID": service_id, "Status": "critical"})

    def update(self, check_id: str, status: str, output: str) -> None:
        """A new result. A mere change of output wakes nobody, as the real agent does not push it at once."""
        check = self.checks.get(check_id)
        if check is None:
            return
        if len(output) > OUTPUT_LIMIT:
            output = f"{output[:OUTPUT_LIMIT]} ... (captured {OUTPUT_LIMIT} of {len(output)} bytes)"
        if status == "critical":
            self._critical_since.setdefault(check_id, self._timers.now())
        else:
            self._critical_since.pop(check_id, None)
        fresh = replace(check, status=status, output=output)
        with self._store.commit(local=status == check.status):
            if status == check.status:
                self._store.put("checks", (self.node, check_id), fresh)
            else:
                self._catalog.put_check(fresh)

    def heartbeat(self, check_id: str, status: str, output: str) -> None:
        """A result that a client sent for a TTL check. Raises ConsulError for other checks."""
        definition = self.definitions.get(check_id, {})
        if not definition.get("TTL"):
            raise ConsulError(f'CheckID "{check_id}" does not have associated TTL')
        with self._store.commit(local=True):
            expires = self._clock() + definition["TTL"] / SECOND
            self._store.put(_TABLE, check_id, {**definition, "Expires": expires})
        self.update(check_id, status, output)
        self._arm(check_id)

    def _arm(self, check_id: str) -> None:
        definition = self.definitions[check_id]
        if definition.get("TTL"):
            if "ttl-never-expires" not in self._defects:
                self._timers.at(("ttl", check_id), definition["TTL"] / SECOND, lambda: self._expire(check_id))
        elif self.monitors and (definition.get("HTTP") or definition.get("TCP")):
            self.monitors.start(check_id, definition)

    def _disarm(self, check_id: str) -> None:
        self._timers.cancel(("ttl", check_id))
        self._critical_since.pop(check_id, None)
        self._store.put(_TABLE, check_id, None)
        if self.monitors:
            self.monitors.stop(check_id)

    def _expire(self, check_id: str) -> None:
        last = self.checks[check_id].output if check_id in self.checks else ""
        output = f"TTL expired (last output before timeout follows): {last}" if last else "TTL expired"
        self.update(check_id, "critical", output)

    def start(self) -> None:
        """After construction or restart: arm every check, and start reaping.

        The last heartbeat still counts, unless its TTL ran out in between; an active check is found anew: real.
        """
        for check_id, definition in list(self.definitions.items()):
            if definition.get("Type") != "maintenance" and definition.get("Expires", 0.0) < self._clock():
                self.update(check_id, definition.get("Status") or "critical", "")
            self._arm(check_id)
        self._timers.at("reap", REAP_INTERVAL, self._reap)

    def _reap(self) -> None:
        for check in self.checks.values():
            limit = self.definitions.get(check.check_id, {}).get("DeregisterCriticalServiceAfter", 0)
            lasted = self._timers.now() - self._critical_since.get(check.check_id, self._timers.now())
            if limit and lasted > max(limit, DEREGISTER_MIN) / SECOND:
                self.deregister_service(check.service_id)
        self._timers.at("reap", REAP_INTERVAL, self._reap)
