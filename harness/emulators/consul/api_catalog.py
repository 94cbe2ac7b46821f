"""/v1/catalog and /v1/health. Sources: the catalog and health pages of the HTTP API."""

from __future__ import annotations

from typing import Any

from .api_session import body_of
from .errors import ConsulError, bad_request
from .filter import parse_filter
from .http import Answer, Endpoint, Request, Routes
from .rows import Check, Node, Service
from .schemas import CATALOG_DEREGISTER, CATALOG_REGISTER
from .shapes import check_shape, flat_shape, node_shape, service_shape

_STATES = {"any", "passing", "warning", "critical"}


def _filtered(request: Request, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    passes = parse_filter(request.query.get("filter", ""))
    return [row for row in rows if passes(row)]


def _meta_matches(request: Request, node: Node | None) -> bool:
    pairs = (pair.partition(":") for pair in request.queries.get("node-meta", []))
    return node is not None and all((node.meta or {}).get(name) == value for name, _, value in pairs)


def _named(request: Request, what: str) -> str:
    if not request.rest:
        raise bad_request(f"Missing {what}")
    return request.rest


def _datacenters(request: Request) -> Answer:
    return Answer([request.server.settings.datacenter])


def _nodes(request: Request) -> Answer:
    nodes = [node for _, node in sorted(request.server.catalog.nodes.items()) if _meta_matches(request, node)]
    shown = [node_shape(request.server, node) for node in nodes if request.authorizer.visible("node", node.node)]
    return Answer(_filtered(request, shown), index=request.server.store.at("nodes"))


def _services(request: Request) -> Answer:
    catalog = request.server.catalog
    nodes = {name for name, node in catalog.nodes.items() if _meta_matches(request, node)}
    found = catalog.tags_by_service(nodes if "node-meta" in request.query else None)
    seen = {name: tags for name, tags in found.items() if request.authorizer.visible("service", name)}
    # Nodes count only when the answer depends on their metadata.
    return Answer(seen, index=request.server.store.at("services", *(["nodes"] if "node-meta" in request.query else [])))


def _instances(request: Request) -> list[tuple[Node, Service]]:
    catalog, name = request.server.catalog, _named(request, "service name")
    found = [(catalog.nodes[node], service) for node, service in catalog.instances(name, request.queries.get("tag"))]
    return [
        (node, service)
        for node, service in found
        if _meta_matches(request, node)
        and request.authorizer.visible("service", service.service)
        and request.authorizer.visible("node", node.node)
    ]


def _service(request: Request) -> Answer:
    shown = [flat_shape(request.server, node, service) for node, service in _instances(request)]
    return Answer(
        _filtered(request, shown), index=request.server.catalog.service_index(request.rest, with_checks=False)
    )


def _node(request: Request) -> Answer:
    node, services = _node_with_services(request)
    shown = {"Node": node, "Services": {service["ID"]: service for service in services}} if node else None
    return Answer(shown, index=request.server.store.at("nodes", "services") if node else 1)


def _node_services(request: Request) -> Answer:
    node, services = _node_with_services(request)
    shown = {"Node": node, "Services": services or None}
    return Answer(shown, index=request.server.store.at("nodes", "services") if node else 1)


def _node_with_services(request: Request) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    catalog = request.server.catalog
    node = catalog.nodes.get(_named(request, "node name"))
    if node is None or not request.authorizer.visible("node", node.node):
        return None, []
    services = [row for row in catalog.on_node(node.node) if request.authorizer.visible("service", row.service)]
    return node_shape(request.server, node), _filtered(
        request, [service_shape(request.server, row) for row in services]
    )


def _register(request: Request) -> Answer:
    body: dict[str, Any] = body_of(request, CATALOG_REGISTER)
    _verify_datacenter(request, body)
    service = body.get("Service")
    if service and body.get("Service", {}).get("Service"):
        request.authorizer.need("service", "write", service["Service"])
    if not service or not body.get("SkipNodeUpdate"):
        request.authorizer.need("node", "write", body.get("Node", ""))
    request.server.catalog.register(body)
    return Answer(True)


def _deregister(request: Request) -> Answer:
    body: dict[str, Any] = body_of(request, CATALOG_DEREGISTER)
    _verify_datacenter(request, body)
    request.authorizer.need("node", "write", body.get("Node", ""))
    request.server.catalog.deregister(body.get("Node", ""), body.get("ServiceID", ""), body.get("CheckID", ""))
    return Answer(True)


def _verify_datacenter(request: Request, body: dict[str, Any]) -> None:
    if body.get("Datacenter", "") not in {"", request.server.settings.datacenter}:
        raise ConsulError("No path to datacenter")


# -- health ---------------------------------------------------------------------------------------------


def _health_service(request: Request) -> Answer:
    passing = "passing" in request.query and _passing(request.query["passing"])
    catalog = request.server.catalog
    shown = []
    for node, service in _instances(request):
        checks = catalog.checks_of(node.node, service.id)
        if not passing or all(check.status == "passing" for check in checks):
            entry = {"Node": node_shape(request.server, node), "Service": service_shape(request.server, service)}
            shown.append(entry | {"Checks": [check_shape(request.server, check) for check in checks]})
    return Answer(_filtered(request, shown), index=catalog.service_index(request.rest))


def _passing(text: str) -> bool:
    values = {"": True} | dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True)
    values |= dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)
    if text not in values:
        raise bad_request("Invalid value for ?passing")
    return values[text]


def _checks(request: Request, checks: list[Check]) -> Answer:
    catalog = request.server.catalog
    shown = [
        check_shape(request.server, check)
        for check in checks
        if _meta_matches(request, catalog.nodes.get(check.node))
        and request.authorizer.visible("node", check.node)
        and (not check.service_name or request.authorizer.visible("service", check.service_name))
    ]
    return Answer(_filtered(request, shown), index=request.server.store.at("checks"))


def _health_node(request: Request) -> Answer:
    return _checks(request, request.server.catalog.checks_of(_named(request, "node name")))


def _health_checks(request: Request) -> Answer:
    name = _named(request, "service name")
    rows = sorted(request.server.catalog.checks.items())
    return _checks(request, [check for _, check in rows if check.service_name == name])


def _health_state(request: Request) -> Answer:
    state = _named(request, "check state")
    rows = sorted(request.server.catalog.checks.items())
    return _checks(request, [check for _, check in rows if state in {"any", check.status} and state in _STATES])


_READ = ("nodes", "services", "checks", "service", "extinct")


def _read(run: Any) -> dict[str, Endpoint]:
    return {"GET": Endpoint(run, watch=_READ, consistency=True)}


ROUTES: Routes = {
    "/v1/catalog/datacenters": {"GET": Endpoint(_datacenters)},
    "/v1/catalog/nodes": _read(_nodes),
    "/v1/catalog/services": _read(_services),
    "/v1/catalog/service/": _read(_service),
    "/v1/catalog/node/": _read(_node),
    "/v1/catalog/node-services/": _read(_node_services),
    "/v1/catalog/register": {"PUT": Endpoint(_register)},
    "/v1/catalog/deregister": {"PUT": Endpoint(_deregister)},
    "/v1/health/service/": _read(_health_service),
    "/v1/health/node/": _read(_health_node),
    "/v1/health/checks/": _read(_health_checks),
    "/v1/health/state/": _read(_health_state),
}
