"""/v1/agent: the agent itself, its services, its checks, maintenance. Source: the agent pages of the HTTP API."""

from __future__ import annotations

from typing import Any

from .api_catalog import BOOLEANS
from .decode import AGENT_SERVICE, CHECK, CHECK_UPDATE, decode
from .definitions import check_definition, service_definition
from .errors import ConsulError, bad_request, not_emulated, not_found
from .filter import parse_filter
from .http import Answer, Endpoint, Request, Routes
from .rows import Check
from .shapes import agent_check_shape, agent_service_shape

_WORST = ("maintenance", "critical", "warning", "passing")
_HEALTH_STATUS = {"passing": 200, "warning": 429, "critical": 503, "maintenance": 503}
_NOT_NAME = "Ensure that the {} ID is passed, not the {} name."


def _done() -> Answer:
    return Answer(empty=True)


def _self(request: Request) -> Answer:
    settings, server = request.server.settings, request.server
    request.authorizer.need("agent", "read", settings.node)
    config: dict[str, Any] = {"Datacenter": settings.datacenter, "NodeName": settings.node, "NodeID": server.node_id}
    config |= {"Revision": "", "Server": True, "Version": settings.profile.reported}
    member = {"Name": settings.node, "Addr": settings.bind, "Port": settings.serf_port, "Status": 1}
    coord = {"Vec": [0] * 8, "Error": 1.5, "Adjustment": 0, "Height": 1e-05}
    agent = {"checks": str(len(server.agent.checks)), "services": str(len(server.agent.services))}
    state = {"leader": "true", "leader_addr": server.raft_address, "server": "true", "known_datacenters": "1"}
    shown = {"Config": config, "Coord": coord, "Member": member, "Stats": {"agent": agent, "consul": state}}
    return Answer({**shown, "Meta": {"consul-network-segment": ""}})


def _services(request: Request) -> Answer:
    found, passes = request.server.agent.services.values(), parse_filter(request.query.get("filter", ""))
    seen = [service for service in found if request.authorizer.visible("service", service.service)]
    shown = [agent_service_shape(request.server, service) for service in seen]
    return Answer({row["ID"]: row for row in shown if passes(row)})


def _checks(request: Request) -> Answer:
    passes = parse_filter(request.query.get("filter", ""))
    seen = [check for check in request.server.agent.checks.values() if _may_read(request, check)]
    shown = [agent_check_shape(request.server, check) for check in seen]
    return Answer({row["CheckID"]: row for row in shown if passes(row)})


def _may_read(request: Request, check: Check) -> bool:
    kind, name = ("service", check.service_name) if check.service_name else ("node", check.node)
    return request.authorizer.visible(kind, name)


def _service(request: Request) -> Answer:
    service = request.server.agent.services.get(request.rest)
    if service is None:
        raise not_found(f"unknown service ID: {request.rest}")
    request.authorizer.need("service", "read", service.service)
    return Answer(agent_service_shape(request.server, service))


def _need_service(request: Request, name: str) -> None:
    request.authorizer.need("service", "write", name, short=f"Missing service:write on {name}")


def _register_service(request: Request) -> Answer:
    service, checks = service_definition(decode(request.body, AGENT_SERVICE))
    if "replace-existing-checks" in request.query:
        raise not_emulated("query option ?replace-existing-checks")
    _need_service(request, service["Service"])
    request.server.agent.register_service(service, checks)
    return _done()


def _deregister_service(request: Request) -> Answer:
    agent = request.server.agent
    if not request.rest:
        raise ConsulError("ServiceID missing")
    service = agent.services.get(request.rest)
    if service is None:
        if not request.server.settings.profile.modern:
            return _done()
        raise not_found(f'Unknown service ID "{request.rest}". {_NOT_NAME.format("service", "service")}')
    _need_service(request, service.service)
    agent.deregister_service(request.rest)
    return _done()


def _maintenance(request: Request) -> Answer:
    service_id, text = request.named("Missing service ID"), request.query.get("enable", "")
    if text not in BOOLEANS:
        raise bad_request(f'Invalid value for enable: "{text}"' if text else "Missing value for enable")
    service = request.server.agent.services.get(service_id)
    if service is None:
        if request.server.settings.profile.modern:
            raise not_found(f'Unknown service ID "{service_id}". {_NOT_NAME.format("service", "service")}')
        raise not_found(f'No service registered with ID "{service_id}"')
    _need_service(request, service.service)
    request.server.agent.maintain(service_id, request.query.get("reason", ""), enable=BOOLEANS[text])
    return _done()


def _register_check(request: Request) -> Answer:
    definition = check_definition(decode(request.body, CHECK))
    service_id, agent = definition.get("ServiceID", ""), request.server.agent
    if service_id and service_id not in agent.services:
        status = 404 if request.server.settings.profile.modern else 500
        raise ConsulError(f'ServiceID "{service_id}" does not exist', status)
    if service_id:
        _need_service(request, agent.services[service_id].service)
    else:
        request.authorizer.need("node", "write", request.server.settings.node)
    agent.register_check(definition)
    return _done()


def _known_check(request: Request) -> str:
    """The check id of the path, as far as this version minds it being unknown. Raises ConsulError (404)."""
    check = request.server.agent.checks.get(request.rest)
    if check is None and request.server.settings.profile.modern:
        raise not_found(f'Unknown check ID "{request.rest}". {_NOT_NAME.format("check", "check")}')
    if check and check.service_name:
        _need_service(request, check.service_name)
    elif check:
        request.authorizer.need("node", "write", check.node)
    return request.rest


def _deregister_check(request: Request) -> Answer:
    if not request.rest:
        raise ConsulError("CheckID missing")
    request.server.agent.deregister_check(_known_check(request))
    return _done()


def _beat(status: str) -> Endpoint:
    def run(request: Request) -> Answer:
        request.server.agent.heartbeat(_known_check(request), status, request.query.get("note", ""))
        return _done()

    return Endpoint(run)


def _update_check(request: Request) -> Answer:
    body: dict[str, Any] = decode(request.body, CHECK_UPDATE)
    status = body.get("Status", "")
    if status not in _WORST[1:]:
        raise bad_request(f"Invalid check status: '{status}'")
    request.server.agent.heartbeat(_known_check(request), status, body.get("Output", ""))
    return _done()


def _health_by_id(request: Request) -> Answer:
    agent, service_id = request.server.agent, request.rest
    service = agent.services.get(service_id)
    if service is None:
        body: dict[str, Any] = {"AggregatedStatus": "critical", "Service": None, "Checks": None}
        return _health_answer(request, "critical", 404, f"ServiceId {service_id} not found", body)
    request.authorizer.need("service", "read", service.service)
    checks = [check for check in agent.checks.values() if check.service_id in {service_id, ""}]
    states = {"maintenance" if check.type == "maintenance" else check.status for check in checks}
    worst = next((state for state in _WORST if state in states), "passing")
    shown = [agent_check_shape(request.server, check) for check in checks]
    body = {"AggregatedStatus": worst, "Service": agent_service_shape(request.server, service), "Checks": shown}
    return _health_answer(request, worst, _HEALTH_STATUS[worst], worst, body)


def _health_answer(request: Request, state: str, status: int, reason: str, body: Any) -> Answer:
    headers = {"X-Consul-Reason": reason}
    if request.query.get("format") == "text":
        return Answer(raw=state.encode(), status=status, headers=headers | {"Content-Type": "text/plain"})
    return Answer(body, status=status, headers=headers)


def _put(run: Any) -> dict[str, Endpoint]:
    return {"PUT": Endpoint(run)}


def _get(run: Any) -> dict[str, Endpoint]:
    return {"GET": Endpoint(run)}


ROUTES: Routes = {
    "/v1/agent/self": _get(_self),
    "/v1/agent/services": _get(_services),
    "/v1/agent/checks": _get(_checks),
    "/v1/agent/service/": _get(_service),
    "/v1/agent/service/register": _put(_register_service),
    "/v1/agent/service/deregister/": _put(_deregister_service),
    "/v1/agent/service/maintenance/": _put(_maintenance),
    "/v1/agent/check/register": _put(_register_check),
    "/v1/agent/check/deregister/": _put(_deregister_check),
    "/v1/agent/check/pass/": {"PUT": _beat("passing")},
    "/v1/agent/check/warn/": {"PUT": _beat("warning")},
    "/v1/agent/check/fail/": {"PUT": _beat("critical")},
    "/v1/agent/check/update/": _put(_update_check),
    "/v1/agent/health/service/id/": _get(_health_by_id),
}
