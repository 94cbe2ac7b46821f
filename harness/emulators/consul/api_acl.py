"""/v1/acl: tokens and policies, new style. Source: the ACL pages of the HTTP API; texts captured from 1.8.7."""

from __future__ import annotations

from typing import Any

from .acl_rules import Authorizer
from .api_session import body_of
from .errors import ConsulError, bad_request, not_emulated
from .http import Answer, Endpoint, Request, Routes
from .rows import Policy, Token, to_wire
from .schemas import POLICY, TOKEN

LEGACY = ("create", "update", "destroy", "info", "clone", "list")


def _enabled(request: Request) -> None:
    if not request.server.acl.enabled:
        raise ConsulError("ACL support disabled", 401)


def _need(request: Request, access: str) -> None:
    _enabled(request)
    request.authorizer.need("acl", access)


def _index(request: Request) -> int:
    return request.server.store.at("acl")


def _tokens(request: Request) -> Answer:
    _need(request, "read")
    acl, wanted = request.server.acl, request.query.get("policy", "")
    rows = [token for token in acl.tokens() if not wanted or wanted in {link["ID"] for link in token.policies or []}]
    return Answer([acl.shown(token, secret=False) for token in rows], index=_index(request))


def _token(request: Request) -> Answer:
    _enabled(request)
    acl = request.server.acl
    if request.rest == "self":
        if not request.secret:
            raise ConsulError("ACL not found", 403)
        return Answer(acl.shown(acl.token_of(request.secret), secret=True), index=_index(request))
    _need(request, "read")
    shown = acl.shown(acl.token(_id(request, "token")), secret=_may_see_secrets(request.authorizer))
    return Answer(shown, index=_index(request))


def _may_see_secrets(authorizer: Authorizer) -> bool:
    return authorizer.allows("acl", "write")


def _id(request: Request, what: str) -> str:
    if not request.rest:
        raise bad_request(f"Bad request: Missing {what} ID")
    return request.rest


def _write_token(request: Request) -> Answer:
    _need(request, "write")
    body = body_of(request, TOKEN, "Bad request: Token decoding failed: ")
    for name in ("Roles", "ServiceIdentities", "NodeIdentities", "ExpirationTime"):
        if body.get(name):
            raise not_emulated(f"ACL token field {name}")
    token: Token = request.server.acl.write_token(body, request.rest)
    return Answer(request.server.acl.shown(token, secret=True))


def _delete_token(request: Request) -> Answer:
    _need(request, "write")
    request.server.acl.delete_token(_id(request, "token"))
    return Answer(True)


def _policies(request: Request) -> Answer:
    _need(request, "read")
    rows = [to_wire(policy) for policy in request.server.acl.policies()]
    shown = [{**row, "Datacenters": row.get("Datacenters")} for row in rows]
    order = ("ID", "Name", "Description", "Datacenters", "Hash", "CreateIndex", "ModifyIndex")
    return Answer([{name: row[name] for name in order} for row in shown], index=_index(request))


def _policy(request: Request) -> Answer:
    _need(request, "read")
    policy: Policy = request.server.acl.policy(_id(request, "policy"))
    return Answer(to_wire(policy), index=_index(request))


def _policy_by_name(request: Request) -> Answer:
    _need(request, "read")
    return Answer(to_wire(request.server.acl.policy(name=_id(request, "policy"))), index=_index(request))


def _write_policy(request: Request) -> Answer:
    _need(request, "write")
    body: dict[str, Any] = body_of(request, POLICY, "Bad request: Policy decoding failed: ")
    return Answer(to_wire(request.server.acl.write_policy(body, request.rest)))


def _delete_policy(request: Request) -> Answer:
    _need(request, "write")
    request.server.acl.delete_policy(_id(request, "policy"))
    return Answer(True)


def _missing(request: Request) -> Answer:
    _enabled(request)
    name = request.rest.partition("/")[0]
    if name in LEGACY and request.server.settings.profile.modern:
        text = f"Endpoint /v1/acl/{name} for the legacy ACL system was removed in Consul 1.11."
        raise ConsulError(text, 410)
    raise not_emulated(f"/v1/acl/{request.rest}")


def _agent_token(request: Request) -> Answer:
    _enabled(request)
    raise not_emulated(f"/v1/agent/token/{request.rest}")


_READ = ("acl",)
_GAPS = dict.fromkeys(("GET", "PUT", "POST", "DELETE"), Endpoint(_missing))
ROUTES: Routes = {
    "/v1/acl/tokens": {"GET": Endpoint(_tokens, watch=_READ)},
    "/v1/acl/token": {"PUT": Endpoint(_write_token)},
    "/v1/acl/token/": {
        "GET": Endpoint(_token, watch=_READ),
        "PUT": Endpoint(_write_token),
        "DELETE": Endpoint(_delete_token),
    },
    "/v1/acl/policies": {"GET": Endpoint(_policies, watch=_READ)},
    "/v1/acl/policy": {"PUT": Endpoint(_write_policy)},
    "/v1/acl/policy/": {
        "GET": Endpoint(_policy, watch=_READ),
        "PUT": Endpoint(_write_policy),
        "DELETE": Endpoint(_delete_policy),
    },
    "/v1/acl/policy/name/": {"GET": Endpoint(_policy_by_name, watch=_READ)},
    "/v1/acl/": _GAPS,
    "/v1/agent/token/": {"PUT": Endpoint(_agent_token)},
}
