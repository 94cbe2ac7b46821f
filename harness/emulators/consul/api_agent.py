"""/v1/agent: the agent itself, its services, its checks, maintenance. Source: the agent pages of the HTTP API."""

from __future__ import annotations

from typing import Any

from .agent_input import check_definition, service_definition
from .api_session import body_of
from .errors import ConsulError, bad_request, not_found
from .filter import parse_filter
from .http import Answer, Endpoint, Request, Routes
from .schemas import AGENT_SERVICE, CHECK, CHECK_UPDATE
from .self_report import member, self_report
from .shapes import agent_check_shape, agent_health_check_shape, agent_service_shape, content_hash

_OK = {"1": True, "t": True, "T": True, "true": True, "TRUE": True, "True": True}
_TRUTH = _OK | {"0": False, "f": False, "F": False, "false": False, "FALSE": False, "False": False}
_WORST = ("critical", "warning", "passing")
_HEALTH_STATUS = {"passing": 200, "warning": 429, "critical": 503, "maintenance": 503}


def _done() -> Answer:
    return Answer(empty=True)


def _self(request: Request) -> Answer:
    request.authorizer.need("agent", "read", request.server.settings.node)
    return Answer(self_report(request.server))


def _members(request: Request) -> Answer:
    seen = request.authorizer.visible("node", request.server.settings.node)
    return Answer([member(request.server, wan=bool(request.query.get("wan")))] if seen else [])


def _version(request: Request) -> Answer:
    if not request.server.settings.profile.modern:
        return Answer(status=404, empty=True)
    version = request.server.settings.profile.reported
    date = "2025-10-24T00:00:00Z"
    return Answer({"SHA": "", "BuildDate": date, "HumanVersion": version, "FIPS": ""})


def _services(request: Request) -> Answer:
    passes = parse_filter(request.query.get("filter", ""))
    rows = {
        service_id: agent_service_shape(request.server, service)
        for service_id, service in sorted(request.server.agent.services.items())
        if request.authorizer.visible("service", service.service)
    }
    return Answer({service_id: row for service_id, row in rows.items() if passes(row)})


def _checks(request: Request) -> Answer:
    passes = parse_filter(request.query.get("filter", ""))
    rows = {
        check_id: agent_check_shape(request.server, check)
        for check_id, check in sorted(request.server.agent.checks.items())
        if request.authorizer.visible(
            "service" if check.row.service_name else "node", check.row.service_name or check.row.node
        )
    }
    return Answer({check_id: row for check_id, row in rows.items() if passes(row)})


def _service(request: Request) -> Answer:
    service = request.server.agent.services.get(request.rest)
    if service is None:
        raise not_found(f"unknown service ID: {request.rest}")
    request.authorizer.need("service", "read", service.service)
    shown = agent_service_shape(request.server, service)
    datacenter = {"Datacenter": shown.pop("Datacenter")} if "Datacenter" in shown else {}
    digest = content_hash(shown)
    return Answer({**shown, "ContentHash": digest, **datacenter}, headers={"X-Consul-Contenthash": digest})


# -- services -------------------------------------------------------------------------------------------


def _register_service(request: Request) -> Answer:
    service, checks = service_definition(body_of(request, AGENT_SERVICE))
    _need_service(request, service["Service"])
    replace = _TRUTH.get(request.query.get("replace-existing-checks", ""), False)
    request.server.agent.register_service(service, checks, replace_checks=replace)
    return _done()


def _need_service(request: Request, name: str) -> None:
    request.authorizer.need("service", "write", name, short=f"Missing service:write on {name}")


def _deregister_service(request: Request) -> Answer:
    agent = request.server.agent
    if not request.rest:
        raise ConsulError("ServiceID missing")
    service = agent.services.get(request.rest)
    if service is None:
        if not request.server.settings.profile.modern:
            return _done()
        hint = "Ensure that the service ID is passed, not the service name."
        raise not_found(f'Unknown service ID "{request.rest}". {hint}')
    _need_service(request, service.service)
    agent.deregister_service(request.rest)
    return _done()


def _enable(request: Request) -> bool:
    text = request.query.get("enable", "")
    if not text:
        raise bad_request("Missing value for enable")
    if text not in _TRUTH:
        raise bad_request(f'Invalid value for enable: "{text}"')
    return _TRUTH[text]


def _service_maintenance(request: Request) -> Answer:
    if not request.rest:
        raise bad_request("Missing service ID")
    enable, service = _enable(request), request.server.agent.services.get(request.rest)
    if service is None:
        if request.server.settings.profile.modern:
            hint = "Ensure that the service ID is passed, not the service name."
            raise not_found(f'Unknown service ID "{request.rest}". {hint}')
        raise not_found(f'No service registered with ID "{request.rest}"')
    _need_service(request, service.service)
    request.server.agent.maintain(request.rest, request.query.get("reason", ""), enable=enable)
    return _done()


def _node_maintenance(request: Request) -> Answer:
    enable = _enable(request)
    request.authorizer.need("node", "write", request.server.settings.node)
    request.server.agent.maintain("", request.query.get("reason", ""), enable=enable)
    return _done()


# -- checks ---------------------------------------------------------------------------------------------


def _register_check(request: Request) -> Answer:
    definition = check_definition(body_of(request, CHECK))
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
    agent = request.server.agent
    if request.rest not in agent.checks and request.server.settings.profile.modern:
        hint = "Ensure that the check ID is passed, not the check name."
        raise not_found(f'Unknown check ID "{request.rest}". {hint}')
    check = agent.checks.get(request.rest)
    if check and check.row.service_name:
        _need_service(request, check.row.service_name)
    elif check:
        request.authorizer.need("node", "write", request.server.settings.node)
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
    body: dict[str, Any] = body_of(request, CHECK_UPDATE)
    status = body.get("Status", "")
    if status not in _WORST:
        raise bad_request(f"Invalid check status: '{status}'")
    request.server.agent.heartbeat(_known_check(request), status, body.get("Output", ""))
    return _done()


# -- aggregated health of local services --------------------------------------------------------------


def _aggregated(request: Request, service_id: str) -> tuple[str, dict[str, Any]]:
    agent = request.server.agent
    checks = agent.checks_of(service_id) + agent.checks_of("")
    states = {check.row.status for check in checks}
    worst = next((state for state in _WORST if state in states), "passing")
    if any(check.row.type == "maintenance" for check in checks):
        worst = "maintenance"
    shown = [agent_health_check_shape(request.server, check) for check in checks]
    service = agent_service_shape(request.server, agent.services[service_id])
    return worst, {"AggregatedStatus": worst, "Service": service, "Checks": shown}


def _health_answer(request: Request, state: str, reason: str, status: int, body: Any) -> Answer:
    headers = {"X-Consul-Reason": reason}
    if request.query.get("format") == "text":
        return Answer(raw=state.encode(), status=status, headers=headers | {"Content-Type": "text/plain"})
    return Answer(body, status=status, headers=headers)


def _health_by_id(request: Request) -> Answer:
    service = request.server.agent.services.get(request.rest)
    if service is None:
        body = {"AggregatedStatus": "critical", "Service": None, "Checks": None}
        return _health_answer(request, "critical", f"ServiceId {request.rest} not found", 404, body)
    request.authorizer.need("service", "read", service.service)
    state, body = _aggregated(request, request.rest)
    return _health_answer(request, state, state, _HEALTH_STATUS[state], body)


def _health_by_name(request: Request) -> Answer:
    request.authorizer.need("service", "read", request.rest)
    services = sorted(request.server.agent.services.items())
    found = [_aggregated(request, service_id) for service_id, service in services if service.service == request.rest]
    if not found:
        return _health_answer(request, "critical", f"ServiceName {request.rest} Not Found", 404, [])
    order = ("maintenance", *_WORST)
    worst = min((state for state, _ in found), key=order.index)
    return _health_answer(request, worst, worst, _HEALTH_STATUS[worst], [body for _, body in found])


def _put(run: Any) -> dict[str, Endpoint]:
    return {"PUT": Endpoint(run)}


def _get(run: Any) -> dict[str, Endpoint]:
    return {"GET": Endpoint(run)}


ROUTES: Routes = {
    "/v1/agent/self": _get(_self),
    "/v1/agent/members": _get(_members),
    "/v1/agent/version": _get(_version),
    "/v1/agent/services": _get(_services),
    "/v1/agent/checks": _get(_checks),
    "/v1/agent/service/": _get(_service),
    "/v1/agent/service/register": _put(_register_service),
    "/v1/agent/service/deregister/": _put(_deregister_service),
    "/v1/agent/service/maintenance/": _put(_service_maintenance),
    "/v1/agent/maintenance": _put(_node_maintenance),
    "/v1/agent/check/register": _put(_register_check),
    "/v1/agent/check/deregister/": _put(_deregister_check),
    "/v1/agent/check/pass/": {"PUT": _beat("passing")},
    "/v1/agent/check/warn/": {"PUT": _beat("warning")},
    "/v1/agent/check/fail/": {"PUT": _beat("critical")},
    "/v1/agent/check/update/": _put(_update_check),
    "/v1/agent/health/service/id/": _get(_health_by_id),
    "/v1/agent/health/service/name/": _get(_health_by_name),
}
