"""What a person reads at the end: the cause first, then a table per layer, then what was not verified."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.model import UNPROVEN, Outcome, RuntimeName
from harness.report.read import BAD, RunReport, ServiceReport, TestReport
from harness.report.verdict import judge

OWN_LAYER = "services"
"""The layer in which each service is tested by itself."""


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
    console.print(_services(report))
    for layer in dict.fromkeys(test.layer for test in report.tests):
        console.print(_layer(report, layer))
    _print_unverified(report, console)
    console.print(_last_line(report, verdict.exit_code), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        number = column in {"ready", "passed", "failed", "blocked", "skipped", "seconds"}
        table.add_column(column, justify="right" if number else "left", no_wrap=column != "reasons")
    return table


def _services(report: RunReport) -> Table:
    table = _table("Services", "service", "answers", "version", "pin", "ready")
    for item in report.services:
        ready = f"{item.seconds:.2f} s" if item.ready else ("[yellow]blocked[/]" if item.blocked else "[red]FAILED[/]")
        source = f"[yellow]{item.source}[/]" if not item.verified else item.source
        table.add_row(item.name, source, item.version or "-", item.pin, ready)
    return table


def _layer(report: RunReport, layer: str) -> Table:
    table = _table(f"Layer: {layer}", "subject", "passed", "failed", "blocked", "skipped", "seconds", "reasons")
    tests = [test for test in report.tests if test.layer == layer]
    for subject in dict.fromkeys(map(_subject, tests)):
        mine = [test for test in tests if _subject(test) == subject]
        table.add_row(subject, *_numbers(mine), escape("; ".join(_reasons(mine))))
    return table


def _subject(test: TestReport) -> str:
    """What a row is about: the service in its own layer, else the file."""
    return test.id.partition("::")[0].rpartition("/")[2].removesuffix(".py").removeprefix("test_")


def _numbers(tests: list[TestReport]) -> list[str]:
    count = {outcome: sum(test.outcome is outcome for test in tests) for outcome in Outcome}
    bad = sum(count[outcome] for outcome in BAD)
    return [
        f"[green]{count[Outcome.PASSED]}[/]" if count[Outcome.PASSED] else "0",
        f"[bold red]{bad}[/]" if bad else "0",
        f"[yellow]{count[Outcome.BLOCKED]}[/]" if count[Outcome.BLOCKED] else "0",
        str(count[Outcome.SKIPPED]),
        f"{sum(test.seconds for test in tests):.2f}",
    ]


def _reasons(tests: list[TestReport]) -> list[str]:
    """Each reason once, failures before the rest, with how many tests have it."""
    idle = [test for test in tests if test.outcome is not Outcome.PASSED]
    idle.sort(key=lambda test: test.outcome not in BAD)
    count: dict[str, int] = {}
    for test in idle:
        text = f"{test.id.rpartition('::')[2]}: {test.reason}" if test.outcome in BAD else test.reason
        count[text] = count.get(text, 0) + 1
    return [f"{text} ({number})" if number > 1 else text for text, number in count.items()]


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
        f"{service.name}: version {service.version} answered, the pin is {service.pin}"
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
