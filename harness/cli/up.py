"""`harness up`: start the stack and leave it up."""

from __future__ import annotations

import argparse
from typing import NoReturn

from harness import app
from harness.app import Run
from harness.cli.progress import show_progress
from harness.cli.stack_table import print_stack
from harness.cli.verb import STACK_OPTIONS, Verb, add_options, flags_of
from harness.errors import LeftBehind, ServiceError, UsageError
from harness.identity import Identity
from harness.keeper.client import RemoteStack
from harness.pytest_plugin.engines import ask_engines, told
from harness.report.console import make_console
from harness.report.terminal import fidelity_line


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the stack."""
    add_options(parser, (*STACK_OPTIONS, "ready_timeout", "engines"))
    parser.add_argument(
        "--owner",
        type=int,
        metavar="PID",
        help="end the stack when this process ends, however it does (default: never)",
    )
    parser.add_argument("--keep-failed", action="store_true", help="leave the stack up even if a service failed")


def run(arguments: argparse.Namespace) -> int:
    """Start, show, and let go."""
    console = make_console()
    owner = _living(arguments.owner)
    current = app.new_run(app.load_settings(flags_of(arguments)))
    plan, reason = app.plan_for(current.settings)
    console.print(
        fidelity_line(plan.emulated, len(plan.services), plan.runtime, reason, plan.unproven),
        markup=False,
        soft_wrap=True,
    )
    for line in told(ask_engines(current)):
        console.print(line, markup=False, soft_wrap=True)
    current.prepare()
    app.ensure_keeper(current, owner)
    try:
        with app.connect(current) as client, show_progress(console, plan.services) as progress:
            stack = app.start_stack(current, client, plan, reason, progress, console.print)
    except BaseException:  # Ctrl-C too: a keeper without an owner would live on
        app.connect(current).close_stack()
        raise
    print_stack(console, stack.values(), secrets=False)
    if stack.failed():
        _failed(current, stack, arguments.keep_failed)
    console.print(f"up as run {current.id}; end it with `harness down`", markup=False)
    return 0


def _living(pid: int | None) -> Identity | None:
    """Whose end is the stack's. Raises UsageError when there is no such process."""
    if pid is None:
        return None
    owner = Identity.of(pid)
    if owner is None:
        raise UsageError(f"--owner {pid}: no such process", "name one that runs, for example --owner $$")
    return owner


def _failed(current: Run, stack: RemoteStack, keep: bool) -> NoReturn:
    first = next((handle for handle in stack.failed() if handle.state == "failed"), stack.failed()[0])
    if not keep and (left := app.connect(current).close_stack()):
        raise LeftBehind(f"run {current.id}: still there: {', '.join(left)}", "remove it by hand")
    raise ServiceError(
        f"{first.name} did not become ready: {first.cause}",
        "the stack was kept" if keep else "the stack was ended; --keep-failed leaves it up",
    )


VERB = Verb(
    configure,
    run,
    "example:\n  harness up --compose compose/stack.yml && harness status && harness down",
)
