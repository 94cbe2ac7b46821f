"""One service of each side, alone, in a stack of its own: what latency, recovery and the upgrade are measured on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness import app
from harness.app import Run
from harness.canary.side import Side, SideFailed, blaming
from harness.errors import LeftBehind
from harness.identity import Identity
from harness.keeper.client import RemoteHandle
from harness.plan import only
from harness.services import kind_named


@contextmanager
def alone(
    run: Run, side: Side, service: str, data: Path | None = None, variables: Mapping[str, str] | None = None
) -> Iterator[RemoteHandle]:
    """The service, ready, with what it depends on; its data in a directory of ours where one is given.

    `variables` fix what would be drawn for each stack: data that outlives a server remembers its password.
    Raises SideFailed when it does not become ready, LeftBehind when something of it stays.
    """
    files = [side.settings.root / file for file in side.settings["compose"]]
    overlay = [_on(data, side, service, run.report / f"data-{side.name}.yml")] if data else []
    outer = Run(side.settings, run.directory, run.report)
    inner = app.private_run(outer, [*files, *overlay], f"canary-{side.name}")
    plan, reason = app.plan_for(inner.settings, variables)
    inner.prepare()
    app.ensure_keeper(inner, Identity.mine())
    client = app.connect(inner)
    try:
        with blaming(side):
            stack = app.start_stack(inner, client, only(plan, [service]), reason)
        for handle in stack.failed():
            raise SideFailed.of(side, f"{handle.name} did not become ready: {handle.cause}")
        yield stack[service]
        stack[service].stop(grace=30.0)
    finally:
        if left := client.close_stack():
            raise LeftBehind(f"canary: still there: {', '.join(left)}", "remove it by hand")


def _on(data: Path, side: Side, service: str, file: Path) -> Path:
    """An overlay that binds the service's data directory to ours."""
    place = kind_named(side.plan.services[service].kind or "").facts.writable[0]
    mount = {"type": "bind", "source": str(data), "target": place}
    file.write_text(json.dumps({"services": {service: {"volumes": [mount]}}}), encoding="utf-8")
    return file
