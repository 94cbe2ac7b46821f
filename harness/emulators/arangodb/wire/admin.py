"""Server information, health, login."""

from __future__ import annotations

import time
from typing import Any

from harness.emulators.arangodb import VERSION
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok

PUBLIC = frozenset({("_open", "auth"), ("_admin", "server", "availability")})
"""The paths that nobody is asked for a password at."""


def _version(call: Call) -> Reply:
    facts: dict[str, Any] = {"server": "arango", "license": "enterprise", "version": VERSION}
    if call.flag("details"):
        facts["details"] = {"architecture": "64bit", "platform": "linux", "server-version": VERSION, "mode": "server"}
    return Reply(200, {**facts, "apiVersions": ["v0"], "deprecatedApiVersions": [], "requestedApiVersion": "v0"})


def _mode(call: Call) -> Reply:
    return ok(mode="readonly" if call.server.read_only else "default")


def _set_mode(call: Call) -> Reply:
    """Asks for rw on `_system`, also when the server is read-only."""
    wanted = call.object().get("mode")
    if call.server.auth.required and call.server.users.right(call.user, "_system") != "rw":
        raise ArangoError(11)
    if wanted not in ("default", "readonly"):
        raise ArangoError(400, "mode invalid")
    call.server.read_only = wanted == "readonly"
    return _mode(call)


def _login(call: Call) -> Reply:
    body = call.object()
    name, password = body.get("username"), body.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        raise ArangoError(400, "expecting attributes 'username' and 'password'")
    token = call.server.auth.session(name, password)
    if token is None:
        raise ArangoError(401, "Wrong credentials")
    return Reply(200, {"jwt": token})


def _metrics(call: Call) -> Reply:
    values = {
        "arangodb_server_statistics_server_uptime_total": time.time() - call.server.started,
        "arangodb_http_request_statistics_total_requests_total": call.server.requests,
    }
    lines = [
        f'# HELP {name} {name}\n# TYPE {name} counter\n{name}{{role="SINGLE"}} {values[name]}\n' for name in values
    ]
    return Reply(200, raw="".join(lines).encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


ROUTES: Routes = {
    "GET /_api/version": _version,
    "GET /_admin/server/availability": _mode,
    "GET /_admin/server/mode": _mode,
    "PUT /_admin/server/mode": _set_mode,
    "POST /_open/auth": _login,
    "GET /_admin/metrics": _metrics,
    "GET /_admin/metrics/v2": _metrics,
}
