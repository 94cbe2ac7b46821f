"""`harness health`: does every service of a stack do its work, how full is it, and whose fault is it if not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness import app
from harness.cli.verb import Verb, add_options, flags_of
from harness.config.settings import Settings
from harness.errors import EXIT_GREEN, ServiceError
from harness.health import Edge, Health, Judged, look
from harness.keeper.client import KeeperClient
from harness.model import Fidelity, Reading, Source
from harness.plan import plan_of_target
from harness.ports import Handle
from harness.report.console import make_console

UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Whose health, and how to show it."""
    parser.add_argument("--run", default="", metavar="ID", help="this run; needed when several are up")
    parser.add_argument("--json", action="store_true", help="as JSON: `well`, `services`, `edges`")
    add_options(parser, ("target", "state"))


def run(arguments: argparse.Namespace) -> int:
    """Ask, show, and answer by exit code: 0 when all is well, 4 when not."""
    settings = app.load_settings(flags_of(arguments))
    of_target = settings["target"] is not None and not arguments.run
    handles, health, name = _of_target(settings) if of_target else _of_stack(settings, arguments.run)
    if arguments.json:
        print(json.dumps({("target" if of_target else "run"): name, **as_data(health, handles)}, indent=2))
    else:
        _print(make_console(), f"{'target' if of_target else 'run'} {name}", health, handles)
    return EXIT_GREEN if health.well else ServiceError.exit_code


def _of_stack(settings: Settings, run: str) -> tuple[Mapping[str, Handle], Health, str]:
    found = app.pick_running(settings, run)
    with KeeperClient(found) as client:
        stack = client.stack()
        return stack, look(stack, stack.plan.services), found.run


def _of_target(settings: Settings) -> tuple[Mapping[str, Handle], Health, str]:
    target = app.read_target(settings)
    plan = plan_of_target(
        str(settings["target"]),
        {name: handle.kind for name, handle in target.items()},
        {name: handle.needs for name, handle in target.items()},
    )
    return target, look(target, plan.services), str(settings["target"])


def as_data(health: Health, handles: Mapping[str, Handle]) -> dict[str, Any]:
    """What is printed with `--json`."""
    return {
        "well": health.well,
        "services": [_service(judged, handles[name]) for name, judged in health.services.items()],
        "edges": [
            {"client": edge.client, "server": edge.server, "by": list(edge.by), "ready": _sound(edge, health)}
            for edge in health.edges
        ],
    }


def _service(judged: Judged, handle: Handle) -> dict[str, Any]:
    found, fidelity = judged.found, _fidelity(judged, handle)
    return {
        "name": found.name,
        "kind": handle.kind,
        "fidelity": {"source": fidelity.source, "version": fidelity.version, "unproven": fidelity.unproven},
        "alive": found.alive,
        "ready": judged.ready,
        "well": judged.well,
        "cause": judged.cause,
        "culprit": judged.culprit,
        "latency_seconds": round(found.latency, 4) if found.latency else None,
        "saturation": [
            {"name": one.name, "value": one.value, "limit": one.limit or None, "share": round(one.share, 4)}
            for one in found.readings
        ],
        "unmeasured": found.unmeasured,
    }


def _fidelity(judged: Judged, handle: Handle) -> Fidelity:
    """What answered just now, else what was known before."""
    version, known = judged.found.version, handle.fidelity
    if not version:
        return known
    return replace(known, source=Source.EMULATOR if version.endswith("+emu") else known.source, version=version)


def _sound(edge: Edge, health: Health) -> bool:
    """Whether the far end of an edge does its work."""
    return edge.server in health.services and health.services[edge.server].ready


def _print(console: Console, title: str, health: Health, handles: Mapping[str, Handle]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    for column in ("service", "alive", "ready", "answers", "latency", "saturation"):
        table.add_column(column, overflow="fold")
    for name, judged in health.services.items():
        found = judged.found
        latency = f"{found.latency * 1000:.0f} ms" if found.latency else "-"
        readings = "\n".join(map(_shown, found.readings)) or found.unmeasured or "-"
        marks = (_mark(found.alive), _mark(judged.ready))
        table.add_row(escape(name), *marks, str(_fidelity(judged, handles[name])), latency, escape(readings))
    console.print(table)
    for edge in health.edges:
        answer = "ready" if _sound(edge, health) else "NOT READY"
        console.print(f"{edge.client} -> {edge.server} ({', '.join(edge.by)}): {answer}", markup=False, soft_wrap=True)
    for name, judged in health.services.items():
        if judged.cause:
            console.print(f"{name}: {judged.cause}", markup=False, soft_wrap=True, style="red")
    sick = [name for name, judged in health.services.items() if not judged.well]
    console.print(f"not well: {', '.join(sick)}" if sick else f"all {len(health.services)} services are well")


def _mark(good: bool) -> str:
    return "[green]yes[/]" if good else "[red]NO[/]"


def _shown(reading: Reading) -> str:
    if isinstance(reading.value, str):
        return f"{reading.name} {reading.value}"
    memory = "memory" in reading.name
    text = f"{reading.name} {_number(reading.value, memory)}"
    return f"{text} of {_number(reading.limit, memory)} ({reading.share:.0%})" if reading.limit else text


def _number(value: float, memory: bool) -> str:
    for size, unit in UNITS if memory else ():
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:g}"


VERB = Verb(
    configure,
    run,
    "examples:\n"
    "  harness health                      the stack that is up\n"
    "  harness health --target live.toml   an environment that is not ours\n"
    "A service is asked by a small write that is read back, and removed where the service can remove at all.\n"
    "exit code: 0 when every service is well, 4 when one is not",
)
