"""`harness test`: one stack, the layers as consecutive pytest sessions against it, one report, one exit code."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness import app, journal
from harness.app import Run
from harness.cli.pytest_session import forwarded, run_pytest
from harness.cli.stacks import Stacks
from harness.cli.verb import STACK_OPTIONS, Verb, add_options, flags_of
from harness.config import packaged
from harness.errors import EXIT_INTERRUPTED, UsageError
from harness.model import RuntimeName, StackPlan
from harness.pytest_plugin.engines import ask_engines, refuse_few_workers, told
from harness.pytest_plugin.layers import LAYERS, layer_named
from harness.report.console import make_console
from harness.report.files import write_all
from harness.report.read import BAD, summarise
from harness.report.terminal import fidelity_line, render
from harness.report.verdict import judge

ROOT = Path("tests/infrastructure")
PYTEST_FILES = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
ALL = "all"
NOT_RUN = (0, 1, 5)
"""Exit codes of a pytest session that are no problem of the session itself: passed, failed, nothing collected."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the run; everything unknown after `--` goes to pytest."""
    parser.add_argument("targets", nargs="*", help="test files or ids; all layers when none is given")
    parser.add_argument(
        "--packaged",
        choices=("smoke", ALL),
        default="",
        help="the harness's own tests: those safe on a live system, or all",
    )
    parser.add_argument("-n", dest="workers", default="0", metavar="N", help="xdist workers (0: none)")
    parser.add_argument("--pytest", action="append", default=[], metavar="ARG", help="one more argument for pytest")
    add_options(parser, (*STACK_OPTIONS, "target", "ready_timeout", "keep", "layers", "gate", "slow", "soak", "seed",
                         "engines"))  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Start, test, report, clean up."""
    console = make_console()
    current = app.new_run(app.load_settings(flags_of(arguments)), several=True)
    _refuse_few_workers(current, arguments.workers)
    sessions = _sessions(arguments.targets, arguments.packaged, current)
    plan, reason = app.plan_for(current.settings)
    current = replace(current, settings=current.settings.with_value("runtime", str(plan.runtime), "chosen"))
    _say(console, fidelity_line(plan.emulated, len(plan.services), plan.runtime, reason, plan.unproven))
    for line in told(ask_engines(current)):
        _say(console, line)
    current.prepare()
    stacks = Stacks.launch(current) if plan.runtime is not RuntimeName.EXTERNAL else None
    previous = signal.signal(signal.SIGTERM, _interrupt)
    kept: list[str] = []
    try:
        interrupted = _start_and_test(current, stacks, plan, reason, sessions, arguments, console)
    finally:
        signal.signal(signal.SIGTERM, previous)
        kept = stacks.end() if stacks else []
    return _report(current, console, interrupted, kept)


def _refuse_few_workers(current: Run, workers: str) -> None:
    """A number is judged here, before anything starts; what `auto` comes to, by the pytest session itself."""
    if workers.isdecimal():
        refuse_few_workers(current.settings["engines"], max(1, int(workers)))


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _sessions(targets: list[str], brought: str, current: Run) -> list[tuple[str, list[str]]]:
    """The pytest sessions of this run: a name, and arguments that say what to collect, for each."""
    if targets:
        return [("chosen", targets)]
    named = current.settings["layers"]
    wanted = [layer_named(name) for name in named] or LAYERS
    folder = packaged.infrastructure_tests() if brought else ROOT
    root = current.settings.root / folder
    extra = _brought(brought) if brought else []
    found = [(layer.name, [str(folder / part) for part in layer.folders if (root / part).is_dir()]) for layer in wanted]
    sessions = [(name, [*extra, *folders]) for name, folders in found if folders]
    if not sessions and not named and any((current.settings.root / name).is_file() for name in PYTEST_FILES):
        return [("tests", [])]  # a project with tests of its own, wherever its pytest settings say they are
    if not sessions:
        raise UsageError(f"{root}: no layer to run", "name test files, or make one of the layers' folders")
    return sessions


def _brought(which: str) -> list[str]:
    """Arguments for the tests that the harness brings along: pytest settings and a root of their own."""
    marker = [] if which == ALL else ["-m", which]
    return ["-c", str(packaged.pytest_settings()), "--rootdir", str(packaged.pytest_settings().parent), *marker]


def _start_and_test(
    current: Run,
    stacks: Stacks | None,
    plan: StackPlan,
    reason: str,
    sessions: Iterable[tuple[str, list[str]]],
    arguments: argparse.Namespace,
    console: Console,
) -> bool:
    """True when it was interrupted."""
    try:
        if stacks:
            stacks.start(plan, reason, console)
        else:
            app.open_external(current)
        for name, targets in sessions:
            _session(current, name, targets, arguments, console)
    except KeyboardInterrupt:
        current.journal.write(journal.SESSION_ERROR, detail="interrupted")
        return True
    return False


def _session(current: Run, name: str, targets: list[str], arguments: argparse.Namespace, console: Console) -> None:
    console.rule(f"layer: {name}") if console.is_terminal else console.print(f"-- layer: {name}", markup=False)
    current.journal.write(journal.LAYER_STARTED, name=name)
    command = [sys.executable, "-m", "pytest", *targets, "-q", "--no-header", "-n", arguments.workers]
    code = run_pytest([*command, *arguments.pytest], current, forwarded(arguments))
    current.journal.write(journal.LAYER_FINISHED, name=name, exit=code)
    if code == 1 and not _reds(current):
        current.journal.write(
            journal.SESSION_ERROR, detail=f"layer {name}: pytest has failed tests that left no record"
        )
    if code not in NOT_RUN:
        current.journal.write(journal.SESSION_ERROR, detail=f"layer {name}: pytest ended with exit code {code}")


def _reds(current: Run) -> bool:
    """Whether the journal has a red test at all."""
    return any(test.outcome in BAD for test in summarise(journal.read(current.report / journal.FILE_NAME)).tests)


def _report(current: Run, console: Console, interrupted: bool, kept: list[str]) -> int:
    report = summarise(journal.read(current.report / journal.FILE_NAME))
    verdict = judge(report)
    code = EXIT_INTERRUPTED if interrupted else verdict.exit_code
    current.journal.write(journal.RUN_FINISHED, exit=code)
    write_all(report, current.report)
    render(report, console)
    for line in (*kept, f"report: {current.report}"):
        _say(console, line)
    return code


VERB = Verb(
    configure,
    run,
    "examples:\n"
    "  harness test                                  every layer\n"
    "  harness test --layers services -n 2           one layer, two workers\n"
    "  harness test tests/infrastructure/services/test_redis.py --keep on-failure\n"
    "  harness test -n 2 --engines unix:///var/run/docker.sock,tcp://127.0.0.1:2375    a stack on each\n"
    "  harness test --require-fidelity real          refuse emulators\n"
    "  harness test --packaged smoke                 the harness's own smoke tests",
)
