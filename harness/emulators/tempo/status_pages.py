"""The `/status` family: what Tempo says of itself."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import yaml

from harness.emulators.tempo import VERSION
from harness.emulators.tempo.gotext import dumps
from harness.emulators.tempo.instance import Instance
from harness.emulators.tempo.wire import Request, Response, text

SERVICES = (
    "backend-scheduler", "backend-worker", "cache-provider", "distributor", "internal-server", "live-store",
    "live-store-ring", "memberlist-kv", "metrics-generator", "overrides", "overrides-api", "partition-ring", "querier",
    "query-frontend", "server", "store",
)  # fmt: skip
ENDPOINTS = (
    "/api/echo", "/api/mcp", "/api/metrics/query", "/api/metrics/query_range", "/api/search",
    "/api/search/tag/{tagName:.*}/values", "/api/search/tags", "/api/status/buildinfo", "/api/traces/{traceID}",
    "/api/v2/search/tag/{tagName:.*}/values", "/api/v2/search/tags", "/api/v2/traces/{traceID}",
    "/live-store/prepare-downscale", "/live-store/prepare-partition-downscale", "/live-store/ring", "/memberlist",
    "/partition-ring", "/querier/api/metrics/query_range", "/querier/api/search",
    "/querier/api/search/tag/{tagName:.*}/values", "/querier/api/search/tags", "/querier/api/traces/{traceID}",
    "/querier/api/v2/search/tag/{tagName:.*}/values", "/querier/api/v2/search/tags",
    "/querier/api/v2/traces/{traceID}", "/ready", "/static/", "/status", "/status/backendscheduler",
    "/status/overrides", "/status/overrides/{tenant}", "/status/usage-stats", "/status/{endpoint}",
)  # fmt: skip
"""Tempo's own list, as its page shows it; what is not emulated answers 501."""
BUILD = {"revision": "53d1c1c208", "branch": "HEAD", "buildUser": "", "buildDate": "", "goVersion": "go1.27.3"}


def version_text() -> str:
    """What `-version` prints."""
    return (
        f"tempo, version {VERSION} (branch: HEAD, revision: 53d1c1c208)\n"
        "  build user:       \n  build date:       \n  go version:       go1.27.3\n"
        "  platform:         linux/amd64\n  tags:             unknown\n"
    )


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, right: int = -1) -> str:
    """An ASCII table; column `right` has its heading flush right."""
    widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(heads))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+\n"

    def line(row: tuple[str, ...], heading: bool = False) -> str:
        cells = [
            f" {cell:>{width}} " if heading and place == right else f" {cell:<{width}} "
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "|" + "|".join(cells) + "|\n"

    return rule + line(heads, heading=True) + rule + "".join(map(line, rows)) + (rule if rows else "")


def _version(_: Instance) -> str:
    return "GET /status/version\n" + version_text()


def _services(instance: Instance) -> str:
    rows = [(name, "Starting" if name in instance.starting else "Running", "") for name in SERVICES]
    return "GET /status/services\n" + table(("SERVICE NAME", "STATUS", "FAILURE CASE"), rows, right=1)


def _runtime(instance: Instance) -> str:
    shown = {"defaults": dict(instance.settings.overrides), "overrides": instance.overrides.tenants}
    return "GET /status/runtime_config\n---\n" + yaml.dump(shown, sort_keys=False)


def _config(instance: Instance) -> str:
    return "GET /status/config\n---\n" + yaml.dump(dict(instance.settings.tree), sort_keys=False, indent=4)


def _endpoints(_: Instance) -> str:
    rows = []
    for name in ENDPOINTS:
        pattern = re.sub(r"\{\w+:\.\*\}", "(?P<v0>.*)", re.sub(r"\{\w+\}", "(?P<v0>[^/]+)", name))
        rows.append((name, f"^{pattern}" + ("" if name == "/static/" else "$")))
    end = "\nAPI documentation: https://grafana.com/docs/tempo/latest/api_docs/\n\n"
    return "GET /status/endpoints\n" + table(("NAME", "REGEX"), rows) + end


PAGES: dict[str, Callable[[Instance], str]] = {
    "version": _version, "services": _services, "endpoints": _endpoints, "runtime_config": _runtime, "config": _config,
}  # fmt: skip


def status(instance: Instance, request: Request) -> Response:
    """`/status` and `/status/{page}`."""
    name = request.path.removeprefix("/status").strip("/")
    if name and name not in PAGES:
        return text(404, "404 page not found\n")
    pages = [PAGES[name]] if name else list(PAGES.values())
    return Response(200, "".join(page(instance) for page in pages).encode(), "text/plain")


def buildinfo(_: Instance, __: Request) -> Response:
    """`/api/status/buildinfo`."""
    return Response(200, (dumps({"version": VERSION, **BUILD}) + "\n").encode(), "application/json")


def overrides(instance: Instance, request: Request) -> Response:
    """`/status/overrides/{tenant}`: where a tenant's limits come from, and the limits."""
    tenant = request.path.removeprefix("/status/overrides").strip("/")
    now = datetime.fromtimestamp(instance.clock(), UTC)
    head = '<!DOCTYPE html>\n<html>\n<head>\n    <meta charset="UTF-8">\n    <title>Overrides: '
    if not tenant:
        names = "".join(f"<tr><td>{html.escape(name)}</td></tr>" for name in instance.overrides.tenants)
        body = f"{head}tenants</title>\n</head>\n<body>\n<h1>Overrides: tenants</h1>\n<table>{names}</table>"
    else:
        source, block = instance.overrides.block(tenant)
        shown = html.escape(yaml.dump(dict(block), sort_keys=False), quote=False)
        body = (
            f"{head}tenant</title>\n</head>\n<body>\n<h1>Overrides: tenant</h1>\n<p>Current time: {now} UTC</p>\n"
            f"<p>Showing overrides for tenant: <strong>{html.escape(tenant)}</strong></p>\n"
            "<h3>User-configurable overrides</h3>\n"
            "<pre><code>User-configurable overrides are not enabled</code></pre>\n<h3>Runtime overrides</h3>\n"
            f"<p>Source of runtime overrides: <strong>{html.escape(source)}</strong></p>\n"
            f"<pre><code>{shown}</code></pre>"
        )
    return Response(200, (body + "\n</body>\n</html>\n").encode(), "text/html; charset=utf-8")
