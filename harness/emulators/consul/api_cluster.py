"""/v1/status, /v1/operator, /v1/event, /v1/snapshot, /v1/acl. Sources: the pages of those names in the HTTP API."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from datetime import UTC
from typing import Any

from .decode import POLICY, TOKEN, decode
from .errors import ConsulError, not_emulated
from .http import Answer, Endpoint, Request, Routes
from .rows import new_id, to_wire

EVENT_LIMIT = 512
ENCODING_OVERHEAD = 100
"""What the envelope of an event adds to its payload; 400 bytes pass and 512 do not on a real server."""

_FORMAT = "consul emulator snapshot 2"


def _leader(request: Request) -> Answer:
    return Answer(request.server.raft_address)


def _peers(request: Request) -> Answer:
    return Answer([request.server.raft_address])


def _raft_configuration(request: Request) -> Answer:
    request.authorizer.need("operator", "read")
    server = request.server
    row = {"ID": server.node_id, "Node": server.settings.node, "Address": server.raft_address}
    return Answer({"Servers": [{**row, "Leader": True, "ProtocolVersion": "3", "Voter": True}], "Index": 0})


def _autopilot_health(request: Request) -> Answer:
    request.authorizer.need("operator", "read")
    server = request.server
    row: dict[str, Any] = {"ID": server.node_id, "Name": server.settings.node, "Address": server.raft_address}
    row |= {"SerfStatus": "alive", "Version": server.settings.profile.reported, "Leader": True, "LastContact": "0s"}
    since = server.started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    row |= {"LastTerm": 2, "LastIndex": server.store.index, "Healthy": True, "Voter": True, "StableSince": since}
    return Answer({"Healthy": True, "FailureTolerance": 0, "Servers": [row]})


def _fire(request: Request) -> Answer:
    name, ring = request.named("Missing name"), request.server.events
    request.authorizer.need("event", "write", name)
    for gap in ("node", "service", "tag"):
        if request.query.get(gap):
            raise not_emulated(f"query option ?{gap} of an event")
    payload = base64.b64encode(request.body).decode() or None
    event: dict[str, Any] = {"ID": new_id(), "Name": name, "Payload": payload, "NodeFilter": ""}
    event |= {"ServiceFilter": "", "TagFilter": "", "Version": 1, "LTime": 0}
    if len(request.body) + len(name) + ENCODING_OVERHEAD > EVENT_LIMIT:
        cause = f"user event exceeds configured limit of {EVENT_LIMIT} bytes before encoding"
        raise ConsulError(f'1 error occurred:\n\t* error broadcasting event to segment "": {cause}\n\n')
    ring.append({**event, "LTime": ring[-1]["LTime"] + 1 if ring else 2})
    request.server.store.on_change("events")
    return Answer(event)


def _events(request: Request) -> Answer:
    name, may = request.query.get("name", ""), request.authorizer.visible
    found = [event for event in request.server.events if name in {"", event["Name"]} and may("event", event["Name"])]
    # The index is made of the newest id, not a counter.
    bits = found[-1]["ID"].replace("-", "") if found else ""
    return Answer(found, index=int(bits[:16], 16) ^ int(bits[16:], 16) if bits else 1)


def _save(request: Request) -> Answer:
    request.authorizer.need("acl", "write")
    store = request.server.store
    packed = gzip.compress(json.dumps({"format": _FORMAT, "store": store.dump(local=False)}).encode(), 1)
    meta = {"X-Consul-Index": str(store.index), "X-Consul-Knownleader": "true", "X-Consul-Lastcontact": "0"}
    return Answer(raw=packed, headers={"Content-Type": "application/x-gzip", **meta})


def _restore(request: Request) -> Answer:
    request.authorizer.need("acl", "write")
    try:
        content = json.loads(gzip.decompress(request.body)) if request.body else None
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError):
        raise ConsulError("failed to decompress snapshot: unexpected EOF") from None
    if content is None:
        raise ConsulError("failed to decompress snapshot: EOF")
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise not_emulated("restoring a snapshot of a real server")
    request.server.restore(content["store"])
    return Answer(empty=True)


def _need_acl(request: Request) -> None:
    if not request.server.acl.enabled:
        raise ConsulError("ACL support disabled", 401)
    request.authorizer.need("acl", "write")


def _create_token(request: Request) -> Answer:
    _need_acl(request)
    body = decode(request.body, TOKEN, "Bad request: Token decoding failed: ")
    for gap in ("Roles", "ServiceIdentities", "NodeIdentities", "TemplatedPolicies", "ExpirationTime"):
        if body.get(gap):
            raise not_emulated(f"ACL token field {gap}")
    return Answer(to_wire(request.server.acl.create_token(body)))


def _own_token(request: Request) -> Answer:
    if not request.server.acl.enabled:
        raise ConsulError("ACL support disabled", 401)
    return Answer(to_wire(request.server.acl.token_of(request.secret or "anonymous")))


def _delete_token(request: Request) -> Answer:
    _need_acl(request)
    request.server.acl.delete_token(request.named("Bad request: Missing token ID"))
    return Answer(True)


def _create_policy(request: Request) -> Answer:
    _need_acl(request)
    body = decode(request.body, POLICY, "Bad request: Policy decoding failed: ")
    return Answer(to_wire(request.server.acl.create_policy(body)))


def _get(run: Any) -> dict[str, Endpoint]:
    return {"GET": Endpoint(run)}


ROUTES: Routes = {
    "/v1/status/leader": _get(_leader),
    "/v1/status/peers": _get(_peers),
    "/v1/operator/raft/configuration": _get(_raft_configuration),
    "/v1/operator/autopilot/health": _get(_autopilot_health),
    "/v1/event/fire/": {"PUT": Endpoint(_fire)},
    "/v1/event/list": {"GET": Endpoint(_events, watch=("events",), unordered=True)},
    "/v1/snapshot": {"GET": Endpoint(_save), "PUT": Endpoint(_restore)},
    "/v1/acl/token": {"PUT": Endpoint(_create_token)},
    "/v1/acl/token/": {"DELETE": Endpoint(_delete_token)},
    "/v1/acl/token/self": _get(_own_token),
    "/v1/acl/policy": {"PUT": Endpoint(_create_policy)},
}
