"""Server information, health, login."""

from __future__ import annotations

import os
import platform
import socket
import time
from typing import Any

from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.version import VERSION
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok

PUBLIC = frozenset({("_open", "auth"), ("_admin", "server", "availability")})
_INDEX_TYPES_TEXT = """
    primary edge hash skiplist ttl persistent geo fulltext mdi mdi-prefixed inverted
"""
_INDEX_TYPES = _INDEX_TYPES_TEXT.split()


def version(call: Call) -> Reply:
    """GET /_api/version"""
    facts: dict[str, Any] = {"server": "arango", "license": "enterprise", "version": VERSION}
    facts |= {"apiVersions": ["v0"], "deprecatedApiVersions": [], "requestedApiVersion": "v0"}
    if call.flag("details"):
        details = {"architecture": "64bit", "server-version": VERSION, "platform": "linux", "mode": "server"}
        facts["details"] = {**details, "python-version": platform.python_version(), "endianness": "little"}
    return Reply(200, facts)


def availability(call: Call) -> Reply:
    """GET /_admin/server/availability"""
    return ok(mode=_mode(call))


def _mode(call: Call) -> str:
    return "readonly" if call.server.read_only else "default"


def status(call: Call) -> Reply:
    """GET /_admin/status"""
    name, read_only = socket.gethostname(), call.server.read_only
    info = {"progress": {"phase": "in wait", "feature": "", "recoveryTick": 0}, "maintenance": False, "role": "SINGLE"}
    info |= {"writeOpsEnabled": not read_only, "readOnly": read_only}
    facts = {
        "server": "arango",
        "license": "enterprise",
        "version": VERSION,
        "mode": "server",
        "operationMode": "server",
    }
    return Reply(
        200, {**facts, "foxxApi": False, "host": name, "hostname": name, "pid": os.getpid(), "serverInfo": info}
    )


def mode(call: Call) -> Reply:
    """GET /_admin/server/mode"""
    return ok(mode=_mode(call))


def set_mode(call: Call) -> Reply:
    """PUT /_admin/server/mode"""
    wanted = call.object().get("mode")
    if call.server.auth.required and call.server.users.database_right(call.user, "_system") != "rw":
        raise ArangoError(11)
    if wanted not in ("default", "readonly"):
        raise ArangoError(400, "mode invalid")
    call.server.read_only = wanted == "readonly"
    return mode(call)


def login(call: Call) -> Reply:
    """POST /_open/auth"""
    body = call.object()
    name, password = body.get("username"), body.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        raise ArangoError(400, "expecting attributes 'username' and 'password'")
    token = call.server.auth.session(name, password)
    if token is None:
        raise ArangoError(401, "Wrong credentials")
    return Reply(200, {"jwt": token})


def engine(_call: Call) -> Reply:
    """GET /_api/engine"""
    aliases = {"indexes": {"hash": "persistent", "skiplist": "persistent", "zkd": "mdi"}}
    supports = {"indexes": _INDEX_TYPES, "aliases": aliases}
    return Reply(200, {"name": "rocksdb", "supports": supports, "endianness": "little"})


def statistics(call: Call) -> Reply:
    """GET /_admin/statistics"""
    uptime = time.time() - call.server.started
    server = {"uptime": uptime, "physicalMemory": 0, "transactions": {"started": 0, "aborted": 0, "committed": 0}}
    http = {"requestsTotal": call.server.requests}
    return ok(time=time.time(), enabled=True, system={}, client={}, http=http, server=server)


def metrics(call: Call) -> Reply:
    """GET /_admin/metrics/v2"""
    values = {
        "arangodb_server_statistics_server_uptime_total": ("counter", time.time() - call.server.started),
        "arangodb_http_request_statistics_total_requests_total": ("counter", call.server.requests),
        "arangodb_aql_current_query": ("gauge", call.server.queries.count),
        "arangodb_aql_cursors_active": ("gauge", len(call.server.cursors)),
    }
    lines = []
    for name, (kind, value) in values.items():
        lines += [f"# HELP {name} {name}", f"# TYPE {name} {kind}", f'{name}{{role="SINGLE"}} {value}']
    text = "\n".join(lines) + "\n"
    return Reply(200, raw=text.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


ROUTES: Routes = {
    "GET /_api/version": version,
    "GET /_admin/version": version,
    "GET /_admin/server/availability": availability,
    "GET /_admin/status": status,
    "GET /_admin/server/mode": mode,
    "PUT /_admin/server/mode": set_mode,
    "POST /_open/auth": login,
    "GET /_api/engine": engine,
    "GET /_admin/statistics": statistics,
    "GET /_admin/metrics": metrics,
    "GET /_admin/metrics/v2": metrics,
    "GET /_admin/time": lambda _call: ok(time=time.time()),
    "GET /_admin/server/role": lambda _call: ok(role="SINGLE", mode="default"),
    "GET /_api/tasks": lambda _call: Reply(200, []),
}
