"""Six running services as a smoke run sees them: a target file, and gates in front that note what is asked."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.probes.exposition import total
from harness.runtimes.external import ExternalHandle, ExternalStack, read
from harness.services import kind_named
from harness.services.otel_collector import accepted_spans
from harness.smoke.base import granted
from tests.unit.rigs.core_rig import ROOT, harness
from tests.unit.rigs.gate_rig import Gate, http_gate, redis_gate

READS = {"INFO", "ROLE", "SCAN", "GET", "TTL", "EXISTS", "PING"}
CONNECTION = {"AUTH", "HELLO", "SELECT", "QUIT", "CLIENT SETINFO", "CLIENT SETNAME", "CLIENT MAINT_NOTIFICATIONS"}
"""Commands of Redis that change nothing but the connection they come over."""


@contextlib.contextmanager
def six_services(place: Path, *words: str, **environment: str) -> Iterator[list[dict[str, Any]]]:
    """The stack of this repository on the process runtime, as `harness status --json --secrets` has its services."""
    common = ("--state", str(place / "s"))
    up = harness(
        "up", "--runtime", "process", "--reports", str(place / "r"), *common, *words, cwd=ROOT, within=90, **environment
    )
    assert up.returncode == 0, up.stdout + up.stderr
    try:
        told = harness("status", "--json", "--secrets", *common, cwd=ROOT)
        yield json.loads(told.stdout)[0]["services"]
    finally:
        harness("down", "--all", *common, cwd=ROOT)


def address(service: Mapping[str, Any], port: str) -> tuple[str, int]:
    """Host and port of one of its endpoints."""
    parts = urlsplit(service["endpoints"][port])
    return str(parts.hostname), int(parts.port or 0)


def target_file(
    place: Path, services: list[dict[str, Any]], endpoints: Mapping[str, Mapping[str, str]], ca: str = ""
) -> Path:
    """A target file: these endpoints by service, the services' own credentials from files."""
    lines = []
    for service in services:
        lines.append(f"[services.{service['name']}]")
        lines += [f'endpoints.{port} = "{url}"' for port, url in endpoints[service["name"]].items()]
        lines += [f'tls.ca = "{ca}"'] if ca else []
        for name, text in service["credentials"].items():
            secret = place / f"{service['name']}-{name}"
            secret.write_text(text)
            lines.append(f'credentials.{name}_file = "{secret}"')
    file = place / "target.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def state_of(admin: Mapping[str, ExternalHandle]) -> dict[str, Any]:
    """What each kind holds, asked as administrator: equal exactly when nothing was written."""
    kinds = {"consul": _consul, "redis": _redis, "arangodb": _arangodb, "grafana": _grafana,
             "tempo": _tempo, "otel_collector": accepted_spans}  # fmt: skip
    return {kind: hold(admin[kind]) for kind, hold in kinds.items() if kind in admin}


def _json(handle: ExternalHandle, path: str) -> Any:
    answer = granted(handle, path)
    return answer.json() if answer.status == 200 else answer.status


def _consul(handle: ExternalHandle) -> Any:
    paths = ("/v1/kv/?recurse", "/v1/session/list", "/v1/catalog/services", "/v1/acl/tokens", "/v1/agent/services")
    return [_json(handle, path) for path in paths]


def _redis(handle: ExternalHandle) -> Any:
    client = kind_named("redis").client(handle)
    with contextlib.closing(client):
        return {key: client.get(key) for key in sorted(client.scan_iter())} | {"users": client.acl_list()}


def _arangodb(handle: ExternalHandle) -> Any:
    found = {}
    for database in _json(handle, "/_api/database")["result"]:
        listed = _json(handle, f"/_db/{database}/_api/collection?excludeSystem=true")["result"]
        figures = [_json(handle, f"/_db/{database}/_api/collection/{item['name']}/revision") for item in listed]
        found[database] = [(item["name"], item["id"], figure) for item, figure in zip(listed, figures, strict=True)]
    return found | {"users": _json(handle, "/_api/user")}


def _grafana(handle: ExternalHandle) -> Any:
    return [
        _json(handle, path) for path in ("/api/folders", "/api/search?limit=5000", "/api/datasources", "/api/users")
    ]


def _tempo(handle: ExternalHandle) -> Any:
    return total(granted(handle, "/metrics").text, "tempo_distributor_spans_received_total")


def open_target(file: Path) -> ExternalStack:
    """The handles of a target file."""
    return read(file)


@contextlib.contextmanager
def gates(services: list[dict[str, Any]], tls: ssl.SSLContext | None = None) -> Iterator[dict[str, dict[str, Gate]]]:
    """A gate in front of every port that speaks HTTP or RESP, by service and port."""
    with contextlib.ExitStack() as open_gates:
        found: dict[str, dict[str, Gate]] = {}
        for service in services:
            for port, url in service["endpoints"].items():
                scheme = url.partition(":")[0]
                if scheme in ("http", "redis"):
                    gate = {"http": http_gate, "redis": redis_gate}[scheme](address(service, port), tls)
                    found.setdefault(service["name"], {})[port] = open_gates.enter_context(gate)
        yield found


def urls_of(gated: Mapping[str, Mapping[str, Gate]], encrypted: bool = False) -> dict[str, dict[str, str]]:
    """The gates as endpoints of a target file."""
    schemes = {"redis": "rediss" if encrypted else "redis"}
    usual = "https" if encrypted else "http"
    return {
        name: {port: f"{schemes.get(port, usual)}://127.0.0.1:{gate.port}" for port, gate in ports.items()}
        for name, ports in gated.items()
    }


def writes_of(gated: Mapping[str, Mapping[str, Gate]]) -> list[str]:
    """Every request through the gates that is no read, `service: request`."""
    return [
        f"{name}: {request}"
        for name, ports in gated.items()
        for port, gate in ports.items()
        for request in gate.seen
        if not (request in READS | CONNECTION if port == "redis" else request.startswith(("GET ", "HEAD ")))
    ]
