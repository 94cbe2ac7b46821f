"""What a person reads at the end: the cause first, then a table per layer, then what was not verified."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.model import UNPROVEN, Outcome, RuntimeName
from harness.report.engines import lines as engine_lines
from harness.report.read import BAD, RunReport, ServiceReport
from harness.report.rows import COUNTED, rows
from harness.report.verdict import judge

OWN_LAYER = "services"
"""The layer in which each service is tested by itself."""
COLOURS = {"passed": "green", "failed": "bold red", "blocked": "yellow"}
MEASURED = {"rto_seconds": "RTO", "detection_seconds": "detection", "failover_seconds": "failover", "lost": "lost"}
"""What is shown of an experiment, and the column's name."""


def fidelity_line(emulated: Iterable[str], total: int, runtime: str, reason: str, unproven: Iterable[str] = ()) -> str:
    """The output's first line: whether anything is emulated, then the runtime and why."""
    names = list(emulated)
    where = f"runtime {runtime} ({reason})"
    if names:
        return f"{emulated_line(names, total, unproven)}; {where}"
    if runtime == RuntimeName.EXTERNAL:
        return f"LIVE: {total} services as they answer; {where}"
    return f"REAL: all {total} services are real; {where}"


def emulated_line(emulated: Iterable[str], total: int, unproven: Iterable[str]) -> str:
    """How many services are emulated, which, and which emulators were never compared with a real server."""
    names, never = list(emulated), ", ".join(unproven)
    proof = f"; {UNPROVEN}: {never}" if never else ""
    return f"EMULATED: {len(names)} of {total} services not verified ({', '.join(names)}{proof})"


def render(report: RunReport, console: Console) -> None:
    """Print the whole report."""
    verdict = judge(report)
    if verdict.cause:
        console.print(f"[bold red]CAUSE[/]  {escape(verdict.cause)}", soft_wrap=True)
    for line in engine_lines(report.engines, report.services):
        console.print(escape(line), soft_wrap=True)
    console.print(_services(report))
    for layer in dict.fromkeys(test.layer for test in report.tests):
        console.print(_layer(report, layer))
    if report.experiments:
        console.print(_experiments(report))
    _print_measured(report, console)
    _print_unverified(report, console)
    console.print(_last_line(report, verdict.exit_code), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        number = column in {"ready", "seconds", *COUNTED, *MEASURED.values()}
        table.add_column(column, justify="right" if number else "left", no_wrap=column != "reasons")
    return table


def _services(report: RunReport) -> Table:
    table = _table("Services", "service", "answers", "version", "pin", "ready")
    for item in report.services:
        ready = f"{item.seconds:.2f} s" if item.ready else ("[yellow]blocked[/]" if item.blocked else "[red]FAILED[/]")
        source = f"[yellow]{item.source}[/]" if not item.verified else item.source
        table.add_row(item.place, source, item.version or "-", item.pin, ready)
    return table


def _layer(report: RunReport, layer: str) -> Table:
    table = _table(f"Layer: {layer}", "subject", *COUNTED, "seconds", "reasons")
    for row in rows(report, layer):
        numbers = [f"[{COLOURS[name]}]{count}[/]" if count and name in COLOURS else str(count)
                   for name, count in row.counts.items()]  # fmt: skip
        table.add_row(row.subject, *numbers, f"{row.seconds:.2f}", escape("; ".join(row.reasons)))
    return table


def _experiments(report: RunReport) -> Table:
    """A line each. A control ends invalid, as it must; its test says whether it did."""
    table = _table("Experiments (seconds)", "experiment", "verdict", *MEASURED.values(), "test", "reasons")
    for one in report.experiments:
        colour = "green" if one.as_expected else "bold red"
        reason = "" if one.as_expected else f"{one.ending}: {one.cause}"
        table.add_row(one.name, str(one.verdict), *map(one.number, MEASURED),
                      f"[{colour}]{one.outcome or 'never ended'}[/]", escape(reason))  # fmt: skip
    return table


def _print_measured(report: RunReport, console: Console) -> None:
    for test in report.tests:
        shown = ", ".join(f"{name} {value}" for name, value in test.properties.items())
        if shown:
            console.print(f"Measured: {escape(test.id.rpartition('::')[2])}: {escape(shown)}", soft_wrap=True)


def _print_unverified(report: RunReport, console: Console) -> None:
    if report.emulated:
        console.print(
            f"[yellow]Not verified[/]: {', '.join(report.emulated)}: an emulator answered, not the real service.",
            soft_wrap=True,
        )
    if report.unproven:
        console.print(f"[yellow]{UNPROVEN.capitalize()}[/]: {', '.join(report.unproven)}", soft_wrap=True)
    for service in _other_versions(report.services):
        console.print(f"[yellow]Not verified[/]: {service}", soft_wrap=True)


def _other_versions(services: Iterable[ServiceReport]) -> list[str]:
    return [
        f"{service.place}: version {service.version} answered, the pin is {service.pin}"
        for service in services
        if service.verified and service.pin and service.version and service.version != service.pin
    ]


def _last_line(report: RunReport, exit_code: int) -> str:
    passed, bad = report.count(Outcome.PASSED), sum(report.count(outcome) for outcome in BAD)
    blocked, skipped = report.count(Outcome.BLOCKED), report.count(Outcome.SKIPPED)
    colour = "green" if exit_code == 0 else "red"
    parts = f"{passed} passed, {bad} failed, {blocked} blocked, {skipped} skipped"
    seconds = report.finished - report.started
    return f"[bold {colour}]{parts}[/] in {seconds:.1f} s; seed {report.seed}; exit {exit_code}"
