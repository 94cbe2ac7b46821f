"""The catalog: nodes, services and checks, with the indexes that blocking queries on them see.

Sources: the catalog and health pages of the HTTP API; captured answers of 1.8.7 for texts and ordering.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from harness.emulators.runner import Defects

from .errors import ConsulError
from .rows import Check, Node, Service, from_wire, to_wire
from .store import Store, dump_rows, load_rows

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIMES = {"Interval", "Timeout", "DeregisterCriticalServiceAfter"}
_INDEX_FIELDS = {"CreateIndex", "ModifyIndex"}


def _same(old: Any, new: Any) -> bool:
    return all(value == to_wire(new).get(name) for name, value in to_wire(old).items() if name not in _INDEX_FIELDS)


class Catalog:
    """What is registered. `on_lost(node, check id)` is told of each check that turned critical or went away."""

    def __init__(self, store: Store, defects: Defects) -> None:
        self._store, self._defects = store, defects
        self.nodes: dict[str, Node] = {}
        self.services: dict[tuple[str, str], Service] = {}
        self.checks: dict[tuple[str, str], Check] = {}
        self.on_lost: Callable[[str, str], None] = lambda _node, _check: None
        self.on_node_lost: Callable[[str], None] = lambda _node: None
        store.part("catalog", self)
        store.command("register", self._register)
        store.command("deregister", self._deregister)

    # -- reads ------------------------------------------------------------------------------------------------

    def service_index(self, name: str, *, with_checks: bool = True) -> int:
        """The index of a service's instances and checks; of the last extinction when it has none."""
        if self._store.knows(f"service:{name}"):
            return self._store.at(f"service:{name}")
        if self._store.knows("extinct"):
            return self._store.at("extinct")
        return self._store.at("nodes", "services", *(["checks"] if with_checks else []))

    def instances(self, name: str, tags: list[str] | None = None) -> list[tuple[str, Service]]:
        """(node name, instance) of a service, all `tags` present, sorted."""
        wanted = {tag.lower() for tag in tags or []}
        return [
            (node, service)
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

    def tags_by_service(self, nodes: set[str] | None = None) -> dict[str, list[str]]:
        """Every service name with the union of its instances' tags."""
        found: dict[str, list[str]] = {}
        for (node, _), service in sorted(self.services.items(), key=lambda item: item[1].service):
            if nodes is None or node in nodes:
                tags = found.setdefault(service.service, [])
                tags.extend(tag for tag in service.tags if tag not in tags)
        return found

    def holds(self, node: str, service: dict[str, Any] | None, checks: list[dict[str, Any]]) -> bool:
        """Whether registering these again would change nothing."""
        old = self.services.get((node, service["ID"])) if service else None
        if service and (old is None or not _same(old, from_wire(Service, service))):
            return False
        rows = [self.checks.get((node, check["CheckID"])) for check in checks]
        return all(row and _same(row, from_wire(Check, check)) for row, check in zip(rows, checks, strict=True))

    # -- writes -----------------------------------------------------------------------------------------------

    def register(self, request: dict[str, Any]) -> None:
        """Register a node with a service and checks, as PUT /v1/catalog/register. Raises ConsulError."""
        name, service = request.get("Node", ""), request.get("Service")
        if not name:
            raise ConsulError("Must provide node")
        if not request.get("Address") and not request.get("SkipNodeUpdate"):
            raise ConsulError("Must provide address if SkipNodeUpdate is not set")
        _verify_node_id(request.get("ID", ""))
        if service:
            service = {"ID": service.get("Service", ""), **service}
            if not service.get("Service"):
                raise ConsulError("Must provide service name with ID")
        single = [request["Check"]] if request.get("Check") else []
        checks = [_normalised(check, name) for check in single + request.get("Checks", [])]
        skip = bool(request.get("SkipNodeUpdate"))
        self._store.commit("register", node=_node_of(request), skip_node=skip, service=service, checks=checks)

    def deregister(self, node: str, service_id: str = "", check_id: str = "") -> None:
        """Take a service, a check or (with neither) the whole node out. Unknown ones are fine."""
        if not node:
            raise ConsulError("Must provide node")
        self._store.commit("deregister", node=node, service_id=service_id, check_id=check_id)

    def _register(self, node: dict[str, Any], skip_node: bool, service: Any, checks: list[dict[str, Any]]) -> None:
        node_name = node["Node"]
        known = {service["ID"]} if service else set()
        for check in checks:
            wanted = check.get("ServiceID", "")
            if wanted and wanted not in known and (node_name, wanted) not in self.services:
                raise ConsulError(f'failed inserting check: Missing service registration on node "{node_name}"')
        if not (skip_node and node_name in self.nodes):
            self._put_node(from_wire(Node, node))
        if service:
            self._put_service(node_name, from_wire(Service, service))
        for check in checks:
            self._put_check(from_wire(Check, check))

    def _put_node(self, node: Node) -> None:
        old = self.nodes.get(node.node)
        if old and _same(old, node):
            return
        node.create_index = old.create_index if old else self._store.index
        node.modify_index = self._store.index
        self.nodes[node.node] = node
        self._store.touch("nodes")
        self._touch_services_on(node.node)

    def _put_service(self, node: str, service: Service) -> None:
        old = self.services.get((node, service.id))
        if old and _same(old, service) and _same(service, old):
            return
        service.create_index = old.create_index if old else self._store.index
        service.modify_index = self._store.index
        self.services[node, service.id] = service
        self._store.touch("services")
        self._store.touch(f"service:{service.service}")
        if old and old.service != service.service:
            self._left(old.service)

    def _put_check(self, check: Check) -> None:
        owner = self.services.get((check.node, check.service_id))
        if owner:
            check.service_name, check.service_tags = owner.service, list(owner.tags)
        old = self.checks.get((check.node, check.check_id))
        if old and _same(old, check):
            # Nothing is written, but the index of the whole table moves: real behaviour.
            self._store.touch("checks")
            return
        if "health-stale" in self._defects and old and check.status == "critical":
            check.status = old.status
        check.create_index = old.create_index if old else self._store.index
        check.modify_index = self._store.index
        self.checks[check.node, check.check_id] = check
        self._touch_check(check)
        if check.status == "critical":
            self.on_lost(check.node, check.check_id)

    def _touch_check(self, check: Check) -> None:
        self._store.touch("checks")
        if check.service_id:
            self._store.touch(f"service:{check.service_name}")
        else:
            self._touch_services_on(check.node)

    def _touch_services_on(self, node: str) -> None:
        for name in {service.service for service in self.on_node(node)}:
            self._store.touch(f"service:{name}")

    def _deregister(self, node: str, service_id: str, check_id: str) -> None:
        if service_id:
            self._drop_service(node, service_id)
        elif check_id:
            self._drop_check(node, check_id)
        elif node in self.nodes:
            for service in self.on_node(node):
                self._drop_service(node, service.id)
            for check in self.checks_of(node):
                self._drop_check(node, check.check_id)
            del self.nodes[node]
            self._store.touch("nodes")
            self.on_node_lost(node)

    def _drop_service(self, node: str, service_id: str) -> None:
        service = self.services.pop((node, service_id), None)
        if service is None:
            return
        if "deregister-leaves-checks" not in self._defects:
            for check in self.checks_of(node):
                if check.service_id == service_id:
                    self._drop_check(node, check.check_id)
        # The checks' index moves even if the service had none: real behaviour.
        self._store.touch("checks")
        self._store.touch("services")
        self._left(service.service)

    def _left(self, name: str) -> None:
        if self.instances(name):
            self._store.touch(f"service:{name}")
        else:
            self._store.forget(f"service:{name}")
            self._store.touch("extinct")

    def _drop_check(self, node: str, check_id: str) -> None:
        check = self.checks.pop((node, check_id), None)
        if check is not None:
            if not check.service_id:
                # The end of a node's own check moves the index of all services: real behaviour.
                self._store.touch("services")
            self._touch_check(check)
            self.on_lost(node, check_id)

    def dump(self) -> Any:
        """The three tables."""
        services = [{"node": node, **to_wire(service)} for (node, _), service in self.services.items()]
        return {
            "nodes": dump_rows(self.nodes.values()),
            "services": services,
            "checks": dump_rows(self.checks.values()),
        }

    def load(self, content: Any) -> None:
        """Replace the three tables."""
        self.nodes = {node.node: node for node in load_rows(Node, content["nodes"])}
        self.services = {(item["node"], item["ID"]): from_wire(Service, item) for item in content["services"]}
        self.checks = {(check.node, check.check_id): check for check in load_rows(Check, content["checks"])}


def _verify_node_id(text: str) -> None:
    if text and len(text) != 36:
        raise ConsulError("Bad node ID: uuid string is wrong length")
    if text and not _UUID.fullmatch(text):
        raise ConsulError("Bad node ID: uuid is improperly formatted")


def _node_of(request: dict[str, Any]) -> dict[str, Any]:
    names = {"ID": "ID", "Node": "Node", "Address": "Address", "TaggedAddresses": "TaggedAddresses", "NodeMeta": "Meta"}
    return {wire: request[name] for name, wire in names.items() if request.get(name)}


def _normalised(check: dict[str, Any], node: str) -> dict[str, Any]:
    kinds = (kind for kind in ("HTTP", "TCP", "TTL", "GRPC") if (check.get("Definition") or {}).get(kind))
    defaults = {"CheckID": check.get("Name", ""), "Node": node, "Status": "critical", "Type": next(kinds, "").lower()}
    given = {name: value for name, value in check.items() if value}
    if "Definition" in given:
        given["Definition"] = dict(sorted(given["Definition"].items(), key=lambda item: item[0] not in _TIMES))
    return defaults | given
