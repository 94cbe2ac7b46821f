"""`harness doctor`: what is here, what would run, what is missing; nothing is started."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from harness import app
from harness.cli.verb import STACK_OPTIONS, Verb, add_options, flags_of
from harness.config.settings import Settings
from harness.errors import HarnessError, ReportError
from harness.keeper import rundir
from harness.model import RuntimeName
from harness.pytest_plugin.engines import ask_engines
from harness.report.console import make_console
from harness.report.engines import differences
from harness.runtimes.ssh.place import place_of
from harness.runtimes.ssh.reach import as_reached


@dataclass(frozen=True)
class Finding:
    """One answer. `code` is the exit code when it is bad, zero when it is well."""

    subject: str
    answer: str
    code: int = 0


def configure(parser: argparse.ArgumentParser) -> None:
    """Options that decide what would run."""
    add_options(parser, (*STACK_OPTIONS, "target", "engines"))


def run(arguments: argparse.Namespace) -> int:
    """Look, and tell. The exit code is the first bad finding's."""
    settings = app.load_settings(flags_of(arguments))
    findings = [finding for look in LOOKS for finding in _guarded(look, settings)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for finding in findings:
        mark = "[red]BAD[/]" if finding.code else "[green]ok[/]"
        table.add_row(mark, escape(finding.subject), escape(finding.answer))
    make_console().print(table)
    return next((finding.code for finding in findings if finding.code), 0)


def _guarded(look: Callable[[Settings], list[Finding]], settings: Settings) -> list[Finding]:
    try:
        return look(settings)
    except HarnessError as error:
        return [Finding(look.__name__.removeprefix("_"), str(error), error.exit_code)]


def _python(settings: Settings) -> list[Finding]:
    del settings
    return [Finding("python", f"{sys.version.split()[0]} on {platform.system()} {platform.release()}")]


def _kernel(settings: Settings) -> list[Finding]:
    del settings
    if not hasattr(os, "pidfd_open"):
        return [Finding("kernel", "no pidfd_open: Linux 5.3 or later is needed to watch an owner", 7)]
    return [Finding("kernel", "pidfd, process groups and parent-death signals are here")]


def _state(settings: Settings) -> list[Finding]:
    root = rundir.state_root(settings["state"])
    live = app.running(settings)
    dead = [run for run in rundir.all_runs(root) if run not in live]
    answer = f"{root}: {len(live)} running, {len(dead)} left by dead runs (the next run sweeps them)"
    return [Finding("state", answer)]


def _reports(settings: Settings) -> list[Finding]:
    reports = settings.root / settings["reports"]
    existing = next(path for path in (reports, *reports.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        problem = "is not writable" if existing.is_dir() else "is no directory"
        answer = f"{reports}: {existing} {problem}; choose another with --reports"
        return [Finding("reports", answer, ReportError.exit_code)]
    return [Finding("reports", str(reports))]


def _engines(settings: Settings) -> list[Finding]:
    """Those that were named, each asked. Their obstacle is told by the error."""
    found = ask_engines(app.new_run(settings, several=True))
    return [Finding("engine", text) for text in (*(f"{one.address}: {one.what}" for one in found), *differences(found))]


def _stack(settings: Settings) -> list[Finding]:
    plan, reason = app.plan_for(settings)
    findings = [Finding("runtime", f"{plan.runtime} ({reason})")]
    for name, service in plan.services.items():
        answer = f"{service.image} -> {plan.fidelity[name]} {plan.fidelity[name].detail}".rstrip()
        findings.append(Finding(name, answer))
    return findings


def _way_back(settings: Settings) -> list[Finding]:
    """From engines over ssh: links and receivers listen here."""
    if settings["runtime"] not in ("auto", RuntimeName.DOCKER):
        return []
    named: tuple[str, ...] = settings["engines"] or (os.environ.get("DOCKER_HOST", ""),)
    if not any(place_of(as_reached(address)) for address in named):
        return []  # and the libraries need not be loaded
    from harness.runtimes.docker.way_back import try_way_back

    return [Finding("way back", told) for address in named if (told := try_way_back(address))]


LOOKS: tuple[Callable[[Settings], list[Finding]], ...] = (
    _python,
    _kernel,
    _state,
    _reports,
    _engines,
    _stack,
    _way_back,
)

VERB = Verb(configure, run)
