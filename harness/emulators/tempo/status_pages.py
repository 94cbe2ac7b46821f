"""What Tempo says of itself: version, services, configuration."""

from __future__ import annotations

from collections.abc import Callable

import yaml

from harness.emulators.tempo import VERSION
from harness.emulators.tempo.gotext import dumps
from harness.emulators.tempo.instance import Instance
from harness.emulators.tempo.wire import NOT_FOUND, Request, Response

SERVICES = (
    "backend-scheduler", "backend-worker", "cache-provider", "distributor", "internal-server", "live-store",
    "live-store-ring", "memberlist-kv", "metrics-generator", "overrides", "overrides-api", "partition-ring", "querier",
    "query-frontend", "server", "store",
)  # fmt: skip
BUILD = {"revision": "53d1c1c208", "branch": "HEAD", "buildUser": "", "buildDate": "", "goVersion": "go1.27.3"}


def version_text() -> str:
    """What `-version` prints."""
    return (
        f"tempo, version {VERSION} (branch: HEAD, revision: 53d1c1c208)\n"
        "  build user:       \n  build date:       \n  go version:       go1.27.3\n"
        "  platform:         linux/amd64\n  tags:             unknown\n"
    )


def _services(instance: Instance) -> str:
    width = max(map(len, SERVICES))
    rule = f"+-{'-' * width}-+---------+--------------+\n"
    rows = (
        f"| {name:<{width}} | {'Starting' if name in instance.starting else 'Running':<7} |              |\n"
        for name in SERVICES
    )
    return f"{rule}| {'SERVICE NAME':<{width}} |  STATUS | FAILURE CASE |\n{rule}{''.join(rows)}{rule}"


def _runtime(instance: Instance) -> str:
    shown = {"defaults": instance.settings.tree["overrides"]["defaults"], "overrides": instance.overrides.tenants}
    return "---\n" + yaml.dump(shown, sort_keys=False)


def _config(instance: Instance) -> str:
    return "---\n" + yaml.dump(dict(instance.settings.tree), sort_keys=False, indent=4)


PAGES: dict[str, Callable[[Instance], str]] = {
    "version": lambda _: version_text(), "services": _services, "runtime_config": _runtime, "config": _config,
}  # fmt: skip


def status(instance: Instance, request: Request) -> Response:
    """`/status` and `/status/{page}`; the table of endpoints is left out."""
    name = request.path.removeprefix("/status").strip("/")
    if name and name not in PAGES:
        return NOT_FOUND
    body = "".join(f"GET /status/{one}\n{page(instance)}" for one, page in PAGES.items() if name in {"", one})
    return Response(200, body.encode(), "text/plain")


def buildinfo(_: Instance, __: Request) -> Response:
    """`/api/status/buildinfo`."""
    return Response(200, (dumps({"version": VERSION, **BUILD}) + "\n").encode(), "application/json")
