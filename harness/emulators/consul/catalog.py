"""The catalog: nodes, services and checks, with the indexes that blocking queries on them see.

Sources: the catalog and health pages of the HTTP API; captured answers of 1.8.7 for texts and ordering.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.emulators.runner import Defects

from .errors import ConsulError
from .rows import Check, Node, Service, from_wire, to_wire
from .store import Store

_INDEXES = {"CreateIndex", "ModifyIndex"}
_NODE_FIELDS = {"ID": "ID", "Address": "Address", "TaggedAddresses": "TaggedAddresses", "NodeMeta": "Meta"}


class Catalog:
    """What is registered. `on_lost(node, check id)` is told of each check that turned critical or went away."""

    def __init__(self, store: Store, defects: Defects) -> None:
        self._store, self._defects = store, defects
        self.nodes: dict[str, Node] = store.table("nodes", Node)
        self.services: dict[tuple[str, str], Service] = store.table("services", Service)
        self.checks: dict[tuple[str, str], Check] = store.table("checks", Check)
        self.on_lost: Callable[[str, str], None] = lambda _node, _check: None
        self.on_node_lost: Callable[[str], None] = lambda _node: None

    def service_index(self, name: str, *tables: str) -> int:
        """The index of a service's instances and checks; of the last extinction, or `tables`, when it has none."""
        return self._store.at(f"service:{name}") or self._store.at("extinct") or self._store.at(*tables)

    def instances(self, name: str, tags: list[str] | None = None) -> list[tuple[Node, Service]]:
        """(node, instance) of a service, all `tags` present, sorted."""
        wanted = {tag.lower() for tag in tags or []}
        return [
            (self.nodes[node], service)
            for (node, _), service in sorted(self.services.items())
            if service.service == name and wanted <= {tag.lower() for tag in service.tags}
        ]

    def on_node(self, node: str) -> list[Service]:
        """The services of a node, sorted by ID."""
        return [service for (owner, _), service in sorted(self.services.items()) if owner == node]

    def checks_of(self, node: str, service_id: str | None = None) -> list[Check]:
        """Checks of a node, sorted by ID; with a service ID the node's own checks, then that service's."""
        found = [check for (owner, _), check in sorted(self.checks.items()) if owner == node]
        if service_id is None:
            return found
        return [c for c in found if not c.service_id] + [c for c in found if c.service_id == service_id]

    def tags_by_service(self) -> dict[str, list[str]]:
        """Every service name with the union of its instances' tags."""
        found: dict[str, dict[str, None]] = {}
        for _, service in sorted(self.services.items(), key=lambda item: item[1].service):
            found.setdefault(service.service, {}).update(dict.fromkeys(service.tags))
        return {name: list(tags) for name, tags in found.items()}

    def register(self, request: dict[str, Any]) -> None:
        """Register a node with a service and checks, as PUT /v1/catalog/register. Raises ConsulError."""
        name, service = request.get("Node", ""), request.get("Service")
        if not name:
            raise ConsulError("Must provide node")
        if not request.get("Address") and not request.get("SkipNodeUpdate"):
            raise ConsulError("Must provide address if SkipNodeUpdate is not set")
        if request.get("ID") and len(request["ID"]) != 36:
            raise ConsulError("Bad node ID: uuid string is wrong length")
        if service and not service.get("Service"):
            raise ConsulError("Must provide service name with ID")
        with self._store.commit():
            if not (request.get("SkipNodeUpdate") and name in self.nodes):
                about = {wire: request[given] for given, wire in _NODE_FIELDS.items() if request.get(given)}
                self._put_node(from_wire(Node, {"Node": name, **about}))
            if service:
                self._put_service(name, from_wire(Service, {"ID": service["Service"], **service}))
            for check in ([request["Check"]] if request.get("Check") else []) + request.get("Checks", []):
                given = {field: value for field, value in check.items() if value}
                self.put_check(from_wire(Check, {"CheckID": check.get("Name", ""), **given, "Node": name}))

    def _put_node(self, node: Node) -> None:
        old = self.nodes.get(node.node)
        if self._stamped(old, node):
            self._store.put("nodes", node.node, node)
            self._store.touch("nodes", *self._services_on(node.node))

    def _put_service(self, node: str, service: Service) -> None:
        old = self.services.get((node, service.id))
        if self._stamped(old, service):
            self._store.put("services", (node, service.id), service)
            self._store.touch("services", f"service:{service.service}")
            if old and old.service != service.service:
                self._left(old.service)

    def put_check(self, check: Check) -> None:
        """Set one check. Only within a commit. Raises ConsulError when its service is not registered."""
        owner = self.services.get((check.node, check.service_id))
        if owner:
            check = replace(check, service_name=owner.service, service_tags=list(owner.tags))
        elif check.service_id:
            raise ConsulError(f'failed inserting check: Missing service registration on node "{check.node}"')
        old = self.checks.get((check.node, check.check_id))
        if "health-stale" in self._defects and old and check.status == "critical":
            check = replace(check, status=old.status)
        # Nothing is written when nothing changed, but the index of the whole table moves: real behaviour.
        self._store.touch("checks")
        if self._stamped(old, check):
            self._store.put("checks", (check.node, check.check_id), check)
            self._touch_check(check)
            if check.status == "critical":
                self.on_lost(check.node, check.check_id)

    def _stamped(self, old: Any, row: Any) -> bool:
        """Whether a row differs from the one it replaces; it gets its indexes then."""
        if old and all(old_value == to_wire(row).get(n) for n, old_value in to_wire(old).items() if n not in _INDEXES):
            return False
        row.create_index = old.create_index if old else self._store.index
        row.modify_index = self._store.index
        return True

    def _touch_check(self, check: Check) -> None:
        names = [f"service:{check.service_name}"] if check.service_id else self._services_on(check.node)
        self._store.touch("checks", *names)

    def _services_on(self, node: str) -> list[str]:
        return [f"service:{service.service}" for service in self.on_node(node)]

    def deregister(self, node: str, service_id: str = "", check_id: str = "") -> None:
        """Take a service, a check or (with neither) the whole node out. Unknown ones are fine."""
        if not node:
            raise ConsulError("Must provide node")
        with self._store.commit():
            if service_id:
                self._drop_service(node, service_id)
            elif check_id:
                self._drop_check(node, check_id)
            elif node in self.nodes:
                for service in self.on_node(node):
                    self._drop_service(node, service.id)
                for check in self.checks_of(node):
                    self._drop_check(node, check.check_id)
                self._store.put("nodes", node, None)
                self._store.touch("nodes")
                self.on_node_lost(node)

    def _drop_service(self, node: str, service_id: str) -> None:
        service = self.services.get((node, service_id))
        if service is None:
            return
        self._store.put("services", (node, service_id), None)
        for check in self.checks_of(node):
            if check.service_id == service_id and "deregister-leaves-checks" not in self._defects:
                self._drop_check(node, check.check_id)
        # The checks' index moves even if the service had none: real behaviour.
        self._store.touch("checks", "services")
        self._left(service.service)

    def _left(self, name: str) -> None:
        if self.instances(name):
            self._store.touch(f"service:{name}")
        else:
            self._store.forget(f"service:{name}")
            self._store.touch("extinct")

    def _drop_check(self, node: str, check_id: str) -> None:
        check = self.checks.get((node, check_id))
        if check is not None:
            self._store.put("checks", (node, check_id), None)
            if not check.service_id:
                # The end of a node's own check moves the index of all services: real behaviour.
                self._store.touch("services")
            self._touch_check(check)
            self.on_lost(node, check_id)
