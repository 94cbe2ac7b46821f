"""/v1/catalog and /v1/health. Sources: the catalog and health pages of the HTTP API."""

from __future__ import annotations

from typing import Any

from .decode import CATALOG_DEREGISTER, CATALOG_REGISTER, decode
from .errors import ConsulError, bad_request, not_emulated
from .filter import parse_filter
from .http import Answer, Endpoint, Request, Routes
from .rows import Check, Node, Service
from .shapes import check_shape, flat_shape, node_shape, service_shape

BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True)
BOOLEANS |= dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)
"""What Go's strconv.ParseBool reads."""


def _filtered(request: Request, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if "node-meta" in request.query:
        raise not_emulated("query option ?node-meta")
    passes = parse_filter(request.query.get("filter", ""))
    return [row for row in rows if passes(row)]


def _datacenters(request: Request) -> Answer:
    return Answer([request.server.settings.datacenter])


def _nodes(request: Request) -> Answer:
    nodes = [node for _, node in sorted(request.server.catalog.nodes.items())]
    shown = [node_shape(request.server, node) for node in nodes if request.authorizer.visible("node", node.node)]
    return Answer(_filtered(request, shown), index=request.server.store.at("nodes"))


def _services(request: Request) -> Answer:
    if request.query.get("filter") and request.server.settings.profile.modern:
        raise not_emulated("query option ?filter of services")
    _filtered(request, [])
    found = request.server.catalog.tags_by_service()
    seen = {name: tags for name, tags in found.items() if request.authorizer.visible("service", name)}
    return Answer(seen, index=request.server.store.at("services"))


def _instances(request: Request) -> list[tuple[Node, Service]]:
    found = request.server.catalog.instances(request.named("Missing service name"), request.tags)
    may = request.authorizer.visible
    return [(node, one) for node, one in found if may("service", one.service) and may("node", node.node)]


def _service(request: Request) -> Answer:
    shown = [flat_shape(request.server, node, service) for node, service in _instances(request)]
    return Answer(
        _filtered(request, shown), index=request.server.catalog.service_index(request.rest, "nodes", "services")
    )


def _node(request: Request) -> Answer:
    catalog, may = request.server.catalog, request.authorizer.visible
    node = catalog.nodes.get(request.named("Missing node name"))
    if node is None or not may("node", node.node):
        return Answer(None, index=1)
    rows = [service_shape(request.server, row) for row in catalog.on_node(node.node) if may("service", row.service)]
    services = {row["ID"]: row for row in _filtered(request, rows)}
    shown = {"Node": node_shape(request.server, node), "Services": services}
    return Answer(shown, index=request.server.store.at("nodes", "services"))


def _register(request: Request) -> Answer:
    body = _write(request, CATALOG_REGISTER)
    service = (body.get("Service") or {}).get("Service")
    if service:
        request.authorizer.need("service", "write", service)
    request.server.catalog.register(body)
    return Answer(True)


def _deregister(request: Request) -> Answer:
    body = _write(request, CATALOG_DEREGISTER)
    request.server.catalog.deregister(body.get("Node", ""), body.get("ServiceID", ""), body.get("CheckID", ""))
    return Answer(True)


def _write(request: Request, kind: Any) -> dict[str, Any]:
    body: dict[str, Any] = decode(request.body, kind)
    if body.get("Datacenter", "") not in {"", request.server.settings.datacenter}:
        raise ConsulError("No path to datacenter")
    request.authorizer.need("node", "write", body.get("Node", ""))
    return body


def _health_service(request: Request) -> Answer:
    if request.query.get("passing") and request.query["passing"] not in BOOLEANS:
        raise bad_request("Invalid value for ?passing")
    passing = "passing" in request.query and BOOLEANS.get(request.query["passing"], True)
    server, shown = request.server, []
    for node, service in _instances(request):
        checks = server.catalog.checks_of(node.node, service.id)
        if not passing or all(check.status == "passing" for check in checks):
            entry = {"Node": node_shape(server, node), "Service": service_shape(server, service)}
            shown.append(entry | {"Checks": [check_shape(server, check) for check in checks]})
    return Answer(_filtered(request, shown), index=server.catalog.service_index(request.rest, *_READ[:3]))


def _checks(request: Request, checks: list[Check]) -> Answer:
    may = request.authorizer.visible
    seen = [check for check in checks if may("node", check.node)]
    seen = [check for check in seen if not check.service_name or may("service", check.service_name)]
    shown = [check_shape(request.server, check) for check in seen]
    return Answer(_filtered(request, shown), index=request.server.store.at("checks"))


def _all(request: Request) -> list[Check]:
    return [check for _, check in sorted(request.server.catalog.checks.items())]


def _health_checks(request: Request) -> Answer:
    name = request.named("Missing service name")
    return _checks(request, [check for check in _all(request) if check.service_name == name])


def _health_state(request: Request) -> Answer:
    state = request.named("Missing check state")
    return _checks(request, [check for check in _all(request) if state in {"any", check.status}])


_READ = ("nodes", "services", "checks", "service", "extinct")


def _read(run: Any) -> dict[str, Endpoint]:
    return {"GET": Endpoint(run, watch=_READ, consistency=True)}


ROUTES: Routes = {
    "/v1/catalog/datacenters": {"GET": Endpoint(_datacenters)},
    "/v1/catalog/nodes": _read(_nodes),
    "/v1/catalog/services": _read(_services),
    "/v1/catalog/service/": _read(_service),
    "/v1/catalog/node/": _read(_node),
    "/v1/catalog/register": {"PUT": Endpoint(_register)},
    "/v1/catalog/deregister": {"PUT": Endpoint(_deregister)},
    "/v1/health/service/": _read(_health_service),
    "/v1/health/checks/": _read(_health_checks),
    "/v1/health/state/": _read(_health_state),
}
