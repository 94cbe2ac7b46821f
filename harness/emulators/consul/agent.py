"""The agent's own services and checks, and their way into the catalog.

What is registered here is pushed to the catalog at once and again by anti-entropy. Sources: the agent service and check
pages of the HTTP API; captured answers of 1.8.7.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from harness.emulators.go_durations import SECOND
from harness.emulators.runner import Defects

from .catalog import Catalog
from .errors import ConsulError
from .rows import Check, Service, from_wire, to_wire
from .store import Store
from .timers import Timers

OUTPUT_LIMIT = 4096
SYNC_INTERVAL = 60.0
REAP_INTERVAL = 30.0
DEREGISTER_MIN = 60 * SECOND
NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE = "_service_maintenance:"
_DEFAULT_REASON = "Maintenance mode is enabled for this {}, but no reason was provided. This is a default message."


@dataclass
class LocalCheck:
    """A check of this agent: its last result, its definition (durations in nanoseconds) and its history."""

    row: Check
    definition: dict[str, Any] = field(default_factory=dict)
    critical_since: float | None = None
    streak: int = 0
    beat: dict[str, Any] | None = None


class Monitors(Protocol):
    """Whatever runs the active (HTTP, TCP) checks."""

    def start(self, check_id: str, definition: dict[str, Any]) -> None:
        """Begin to run a check, replacing an earlier one of that id."""

    def stop(self, check_id: str) -> None:
        """Stop running a check; unknown ids are fine."""


class Agent:
    """Services and checks by id, on node `node`. `clock` is wall-clock time, to tell after a restart what ran out."""

    def __init__(
        self,
        node: str,
        store: Store,
        catalog: Catalog,
        timers: Timers,
        defects: Defects,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.node, self._clock, self._started = node, clock, False
        self._store, self._catalog, self._timers, self._defects = store, catalog, timers, defects
        self.services: dict[str, Service] = {}
        self.checks: dict[str, LocalCheck] = {}
        self.monitors: Monitors | None = None
        store.part("agent", self, local=True)
        store.command("agent-service", self._add_service)
        store.command("agent-check", self._add_check)
        store.command("agent-drop-service", self._drop_service)
        store.command("agent-drop-check", self._drop_check)
        store.command("agent-beat", self._beat)

    # -- registering ----------------------------------------------------------------------------------------------

    def register_service(self, service: dict[str, Any], checks: list[dict[str, Any]], *, replace_checks: bool) -> None:
        """Register a service with the checks of its definition, whose ids are already chosen."""
        gone = [c.row.check_id for c in self.checks_of(service["ID"])] if replace_checks else []
        for check_id in gone:
            if check_id not in {check["CheckID"] for check in checks}:
                self.deregister_check(check_id)
        self._store.commit("agent-service", local=True, service=service)
        for check in checks:
            self._store.commit("agent-check", local=True, definition=check)
            self._arm(check["CheckID"])
        self.sync_service(service["ID"])

    def register_check(self, definition: dict[str, Any]) -> None:
        """Register one check, of a service or of the node."""
        self._store.commit("agent-check", local=True, definition=definition)
        self._arm(definition["CheckID"])
        self._sync_check(definition["CheckID"])

    def deregister_service(self, service_id: str) -> None:
        """Take a service and its checks away, from the catalog too."""
        for check in self.checks_of(service_id):
            self._disarm(check.row.check_id)
        self._store.commit("agent-drop-service", local=True, service_id=service_id)
        self._catalog.deregister(self.node, service_id=service_id)

    def deregister_check(self, check_id: str) -> None:
        """Take a check away, from the catalog too; unknown ones are fine."""
        if check_id in self.checks:
            self._disarm(check_id)
            self._store.commit("agent-drop-check", local=True, check_id=check_id)
            self._catalog.deregister(self.node, check_id=check_id)

    def checks_of(self, service_id: str) -> list[LocalCheck]:
        """The checks of one service (of the node itself for the empty id)."""
        return [check for _, check in sorted(self.checks.items()) if check.row.service_id == service_id]

    def maintain(self, service_id: str, reason: str, *, enable: bool) -> None:
        """Switch maintenance mode of a service (of the node for the empty id) on or off."""
        check_id = f"{SERVICE_MAINTENANCE}{service_id}" if service_id else NODE_MAINTENANCE
        kind = "Service" if service_id else "Node"
        notes = reason or _DEFAULT_REASON.format(kind.lower())
        if not enable:
            self.deregister_check(check_id)
        elif check_id not in self.checks:
            definition = {
                "CheckID": check_id,
                "Name": f"{kind} Maintenance Mode",
                "Notes": notes,
                "Type": "maintenance",
            }
            self.register_check({**definition, "ServiceID": service_id, "Status": "critical"})

    # -- results ----------------------------------------------------------------------------------------------------

    def update(self, check_id: str, status: str, output: str) -> None:
        """A new result. A mere change of output does not reach the catalog at once, as in the real agent."""
        check = self.checks[check_id]
        if len(output) > OUTPUT_LIMIT:
            output = f"{output[:OUTPUT_LIMIT]} ... (captured {OUTPUT_LIMIT} of {len(output)} bytes)"
        changed = check.row.status != status
        if status != "critical":
            check.critical_since = None
        elif check.critical_since is None:
            check.critical_since = self._timers.now()
        check.row = replace(check.row, status=status, output=output)
        if changed and self._started:
            self._sync_check(check_id)

    def result(self, check_id: str, status: str, output: str) -> None:
        """A result of an active check, counted against `SuccessBeforePassing` and `FailuresBeforeCritical`."""
        check = self.checks.get(check_id)
        if check is None:
            return
        good = status != "critical"
        check.streak = max(check.streak, 0) + 1 if good else min(check.streak, 0) - 1
        needed = check.definition.get("SuccessBeforePassing" if good else "FailuresBeforeCritical", 0)
        if abs(check.streak) > needed or check.row.status == status:
            self.update(check_id, status, output)

    def heartbeat(self, check_id: str, status: str, output: str) -> None:
        """A result that a client sent for a TTL check. Raises ConsulError for other checks."""
        check = self.checks.get(check_id)
        if check is None or not check.definition.get("TTL"):
            raise ConsulError(f'CheckID "{check_id}" does not have associated TTL')
        expires = self._clock() + check.definition["TTL"] / SECOND
        self._store.commit("agent-beat", local=True, check_id=check_id, status=status, output=output, expires=expires)
        self._arm(check_id)

    def _arm(self, check_id: str) -> None:
        definition = self.checks[check_id].definition
        if definition.get("TTL"):
            if "ttl-never-expires" not in self._defects:
                self._timers.at(("ttl", check_id), definition["TTL"] / SECOND, lambda: self._expire(check_id))
        elif self.monitors and (definition.get("HTTP") or definition.get("TCP")):
            self.monitors.start(check_id, definition)

    def _disarm(self, check_id: str) -> None:
        self._timers.cancel(("ttl", check_id))
        if self.monitors:
            self.monitors.stop(check_id)

    def _expire(self, check_id: str) -> None:
        check = self.checks.get(check_id)
        if check:
            last = check.row.output
            output = f"TTL expired (last output before timeout follows): {last}" if last else "TTL expired"
            self.update(check_id, "critical", output)

    def start(self) -> None:
        """After construction or restart: arm every check, and start reaping and anti-entropy."""
        self._started = True
        for check_id in list(self.checks):
            self._arm(check_id)
        self.sync()
        self._timers.at("reap", REAP_INTERVAL, self._reap)

    def _reap(self) -> None:
        for check in list(self.checks.values()):
            limit = check.definition.get("DeregisterCriticalServiceAfter", 0)
            since = check.critical_since
            overdue = since is not None and self._timers.now() - since > max(limit, DEREGISTER_MIN) / SECOND
            if limit and overdue and check.row.service_id in self.services:
                self.deregister_service(check.row.service_id)
        self._timers.at("reap", REAP_INTERVAL, self._reap)

    # -- anti-entropy ---------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Make the catalog say of this node what this agent knows, and do so again in a minute or two."""
        for service in self._catalog.on_node(self.node):
            if service.id not in self.services and service.id != "consul":
                self._catalog.deregister(self.node, service_id=service.id)
        for check in self._catalog.checks_of(self.node):
            if check.check_id not in self.checks and check.check_id != "serfHealth":
                self._catalog.deregister(self.node, check_id=check.check_id)
        for service_id in self.services:
            self.sync_service(service_id)
        for check_id in self.checks:
            self._sync_check(check_id)
        self._timers.at("sync", SYNC_INTERVAL * (1 + random.random()), self.sync)

    def sync_service(self, service_id: str) -> None:
        """Push one service with its checks to the catalog."""
        checks = [to_wire(check.row) for check in self.checks_of(service_id)]
        self._push(Service=to_wire(self.services[service_id]), Checks=checks)

    def _sync_check(self, check_id: str) -> None:
        self._push(Checks=[to_wire(self.checks[check_id].row)])

    def _push(self, **content: Any) -> None:
        if not self._catalog.holds(self.node, content.get("Service"), content["Checks"]):
            self._catalog.register({"Node": self.node, "SkipNodeUpdate": True, **content})

    # -- commands ---------------------------------------------------------------------------------------------------

    def _add_service(self, service: dict[str, Any]) -> None:
        row = from_wire(Service, service)
        self.services[row.id] = row
        for check in self.checks_of(row.id):
            check.row = replace(check.row, service_name=row.service, service_tags=row.tags)

    def _add_check(self, definition: dict[str, Any]) -> None:
        check_id, service_id = definition["CheckID"], definition.get("ServiceID", "")
        row = from_wire(Check, {**definition, "Node": self.node})
        owner = self.services.get(service_id)
        if owner:
            row.service_name, row.service_tags = owner.service, owner.tags
        old = self.checks.get(check_id)
        if old and not definition.get("Status"):
            row.status, row.output = old.row.status, old.row.output
        # Counted from the first critical result, not from a registration that is critical until then.
        since = old.critical_since if old and row.status == "critical" else None
        self.checks[check_id] = LocalCheck(row, definition, since)

    def _drop_service(self, service_id: str) -> None:
        for check in self.checks_of(service_id):
            del self.checks[check.row.check_id]
        self.services.pop(service_id, None)

    def _drop_check(self, check_id: str) -> None:
        self.checks.pop(check_id, None)

    def _beat(self, check_id: str, status: str, output: str, expires: float) -> None:
        # After a restart the last heartbeat still counts, unless its TTL ran out in between: real behaviour.
        if check_id in self.checks and expires > self._clock():
            self.checks[check_id].beat = {"status": status, "output": output, "expires": expires}
            self.update(check_id, status, output)

    def dump(self) -> Any:
        """Definitions, and the last heartbeat of TTL checks; other results are found anew after a restart."""
        checks = [{"definition": check.definition, "beat": check.beat} for check in self.checks.values()]
        return {"services": [to_wire(service) for service in self.services.values()], "checks": checks}

    def load(self, content: Any) -> None:
        """Replace the definitions."""
        self.services = {item["ID"]: from_wire(Service, item) for item in content["services"]}
        self.checks = {}
        for item in content["checks"]:
            self._add_check(item["definition"])
            if item["beat"]:
                self._beat(item["definition"]["CheckID"], **item["beat"])
