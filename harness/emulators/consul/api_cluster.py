"""/v1/status, /v1/operator, /v1/event, /v1/snapshot. Sources: the pages of those names in the HTTP API."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC
from typing import Any

from .errors import ConsulError, bad_request
from .http import Answer, Endpoint, Request, Routes

_FORMAT = "consul emulator snapshot 1"


def _leader(request: Request) -> Answer:
    return Answer(request.server.raft_address)


def _peers(request: Request) -> Answer:
    return Answer([request.server.raft_address])


def _raft_configuration(request: Request) -> Answer:
    request.authorizer.need("operator", "read")
    server = request.server
    row = {"ID": server.node_id, "Node": server.settings.node, "Address": server.raft_address}
    return Answer({"Servers": [{**row, "Leader": True, "ProtocolVersion": "3", "Voter": True}], "Index": 0})


def _autopilot_configuration(request: Request) -> Answer:
    request.authorizer.need("operator", "read")
    config = {"CleanupDeadServers": True, "LastContactThreshold": "200ms", "MaxTrailingLogs": 250, "MinQuorum": 0}
    config |= {"ServerStabilizationTime": "10s", "RedundancyZoneTag": "", "DisableUpgradeMigration": False}
    return Answer(config | {"UpgradeVersionTag": "", "CreateIndex": 4, "ModifyIndex": 4})


def _autopilot_health(request: Request) -> Answer:
    request.authorizer.need("operator", "read")
    server = request.server
    row: dict[str, Any] = {"ID": server.node_id, "Name": server.settings.node, "Address": server.raft_address}
    row |= {"SerfStatus": "alive", "Version": server.settings.profile.reported, "Leader": True, "LastContact": "0s"}
    since = server.started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    row |= {"LastTerm": 2, "LastIndex": server.store.index, "Healthy": True, "Voter": True, "StableSince": since}
    return Answer({"Healthy": True, "FailureTolerance": 0, "Servers": [row]})


# -- events ---------------------------------------------------------------------------------------------


def _fire(request: Request) -> Answer:
    if not request.rest:
        raise bad_request("Missing name")
    request.authorizer.need("event", "write", request.rest)
    filters = [request.query.get(name, "") for name in ("node", "service", "tag")]
    return Answer(request.server.events.fire(request.rest, request.body, *filters))


def _events(request: Request) -> Answer:
    index, events = request.server.events.listed(request.query.get("name", ""))
    return Answer([e for e in events if request.authorizer.visible("event", e["Name"])], index=index)


# -- snapshots ------------------------------------------------------------------------------------------


def _save(request: Request) -> Answer:
    _need_management(request)
    content = {"format": _FORMAT, "store": request.server.store.dump(local=False)}
    packed = gzip.compress(json.dumps(content).encode(), 1)
    meta = {
        "X-Consul-Index": str(request.server.store.index),
        "X-Consul-Knownleader": "true",
        "X-Consul-Lastcontact": "0",
    }
    return Answer(raw=packed, headers={"Content-Type": "application/x-gzip", **meta})


def _restore(request: Request) -> Answer:
    _need_management(request)
    server = request.server
    server.store.commit("restore", content=_unpacked(request.body))
    server.sessions.rearm()
    server.agent.sync()
    return Answer(empty=True)


def _unpacked(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(gzip.decompress(body)) if body else None
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError):
        raise ConsulError("failed to decompress snapshot: unexpected EOF") from None
    if content is None:
        raise ConsulError("failed to decompress snapshot: EOF")
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ConsulError("consul emulator: restoring a snapshot of a real server is not emulated", 501)
    return dict(content["store"])


def _need_management(request: Request) -> None:
    request.authorizer.need("acl", "write")


def _get(run: Any) -> dict[str, Endpoint]:
    return {"GET": Endpoint(run)}


ROUTES: Routes = {
    "/v1/status/leader": _get(_leader),
    "/v1/status/peers": _get(_peers),
    "/v1/operator/raft/configuration": _get(_raft_configuration),
    "/v1/operator/autopilot/configuration": _get(_autopilot_configuration),
    "/v1/operator/autopilot/health": _get(_autopilot_health),
    "/v1/event/fire/": {"PUT": Endpoint(_fire)},
    "/v1/event/list": {"GET": Endpoint(_events, watch=("events",), unordered=True)},
    "/v1/snapshot": {"GET": Endpoint(_save), "PUT": Endpoint(_restore)},
}
