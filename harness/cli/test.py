"""`harness test`: one stack, the layers as consecutive pytest sessions against it, one report, one exit code."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness import app, journal
from harness.app import Run
from harness.cli.progress import show_progress
from harness.cli.pytest_session import forwarded, run_pytest
from harness.cli.verb import STACK_OPTIONS, Verb, add_options, flags_of
from harness.config import packaged
from harness.errors import EXIT_INTERRUPTED, HarnessError, UsageError
from harness.identity import Identity
from harness.keeper.client import KeeperClient, Progress
from harness.keeper.launch import Lifeline
from harness.model import RuntimeName, StackPlan
from harness.pytest_plugin.ending import how_to_reach
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
    add_options(parser, (*STACK_OPTIONS, "target", "ready_timeout", "keep", "layers", "gate", "slow", "soak", "seed"))


def run(arguments: argparse.Namespace) -> int:
    """Start, test, report, clean up."""
    console = make_console()
    current = app.new_run(app.load_settings(flags_of(arguments)))
    sessions = _sessions(arguments.targets, arguments.packaged, current)
    plan, reason = app.plan_for(current.settings)
    current = replace(current, settings=current.settings.with_value("runtime", str(plan.runtime), "chosen"))
    console.print(
        fidelity_line(plan.emulated, len(plan.services), plan.runtime, reason, plan.unproven),
        markup=False,
        soft_wrap=True,
    )
    current.prepare()
    owned = plan.runtime is not RuntimeName.EXTERNAL
    lifeline = app.ensure_keeper(current, Identity.mine(), lifeline=True) if owned else None
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        interrupted = _start_and_test(current, plan, reason, sessions, arguments, console)
    finally:
        signal.signal(signal.SIGTERM, previous)
        kept = _end(current, lifeline) if owned else []
    return _report(current, console, interrupted, kept)


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
    plan: StackPlan,
    reason: str,
    sessions: Iterable[tuple[str, list[str]]],
    arguments: argparse.Namespace,
    console: Console,
) -> bool:
    """True when it was interrupted."""
    try:
        with show_progress(console, plan) as progress:
            _start(current, plan, reason, progress, console)
        for name, targets in sessions:
            _session(current, name, targets, arguments, console)
    except KeyboardInterrupt:
        current.journal.write(journal.SESSION_ERROR, detail="interrupted")
        return True
    return False


def _start(current: Run, plan: StackPlan, reason: str, progress: Progress, console: Console) -> None:
    if plan.runtime is RuntimeName.EXTERNAL:
        app.open_external(current)
    else:
        with app.connect(current) as client:
            app.start_stack(current, client, plan, reason, progress, _teller(console))


def _teller(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(line, markup=False, soft_wrap=True)


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


def _end(current: Run, lifeline: Lifeline | None) -> list[str]:
    """Keep the stack when that was asked for, else end it and note what is left. Returns how to reach a kept one."""
    try:
        client = app.connect(current)
        verdict = judge(summarise(journal.read(current.report / journal.FILE_NAME)))
        keep = current.settings["keep"]
        if keep == "always" or (keep == "on-failure" and verdict.exit_code):
            client.keep()
            return how_to_reach(current, client.stack())
        _close(current, client)
    except HarnessError as error:
        current.journal.write(journal.LEFT_BEHIND, what=[str(error)])
    if lifeline is not None:
        lifeline.cut()
    return []


def _close(current: Run, client: KeeperClient) -> None:
    left = client.close_stack()
    if left:
        current.journal.write(journal.LEFT_BEHIND, what=left)


def _report(current: Run, console: Console, interrupted: bool, kept: list[str]) -> int:
    report = summarise(journal.read(current.report / journal.FILE_NAME))
    verdict = judge(report)
    code = EXIT_INTERRUPTED if interrupted else verdict.exit_code
    current.journal.write(journal.RUN_FINISHED, exit=code)
    write_all(report, current.report)
    render(report, console)
    for line in kept:
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"report: {current.report}", markup=False, soft_wrap=True)
    return code


VERB = Verb(
    configure,
    run,
    "examples:\n"
    "  harness test                                  every layer\n"
    "  harness test --layers services -n 2           one layer, two workers\n"
    "  harness test tests/infrastructure/services/test_redis.py --keep on-failure\n"
    "  harness test --require-fidelity real          refuse emulators\n"
    "  harness test --packaged smoke                 the harness's own smoke tests",
)
