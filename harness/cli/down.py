"""`harness down`: end a running stack."""

from __future__ import annotations

import argparse

from harness import app
from harness.cli.verb import Verb, add_options, flags_of
from harness.errors import LeftBehind
from harness.keeper.client import KeeperClient
from harness.keeper.rundir import RunDir
from harness.report.console import make_console


def configure(parser: argparse.ArgumentParser) -> None:
    """Which stack."""
    parser.add_argument("--run", default="", metavar="ID", help="the run to end; needed when several are up")
    parser.add_argument("--all", action="store_true", help="end every running stack of this user")
    add_options(parser, ("state",))


def run(arguments: argparse.Namespace) -> int:
    """End it, and verify that it is gone."""
    settings = app.load_settings(flags_of(arguments))
    runs = app.running(settings) if arguments.all else [app.pick_running(settings, arguments.run)]
    problems = [problem for found in runs if (problem := _end(found))]
    if problems:
        raise LeftBehind("; ".join(problems), "remove it by hand")
    return 0


def _end(found: RunDir) -> str:
    """What is left of a run, in words; empty when it is gone."""
    left = KeeperClient(found).close_stack()
    if left:
        return f"run {found.run}: still there: {', '.join(left)}"
    make_console().print(f"run {found.run} is down; nothing left behind", markup=False)
    return ""


VERB = Verb(configure, run)
