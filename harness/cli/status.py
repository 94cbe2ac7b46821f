"""`harness status`: what is up, and where it answers."""

from __future__ import annotations

import argparse
import json

from harness import app
from harness.cli.stack_table import as_data, print_stack
from harness.cli.verb import Verb, add_options, flags_of
from harness.keeper.client import KeeperClient, RemoteStack
from harness.keeper.rundir import RunDir
from harness.report.console import make_console


def configure(parser: argparse.ArgumentParser) -> None:
    """Which stack, and how to show it."""
    parser.add_argument("--run", default="", metavar="ID", help="only this run")
    parser.add_argument("--json", action="store_true", help="as JSON, a list of runs")
    parser.add_argument("--secrets", action="store_true", help="show passwords and tokens")
    add_options(parser, ("state",))


def run(arguments: argparse.Namespace) -> int:
    """Show every running stack."""
    settings, console = app.load_settings(flags_of(arguments)), make_console()
    found = [app.pick_running(settings, arguments.run)] if arguments.run else app.running(settings)
    stacks = {item.run: _look(item) for item in found}
    if arguments.json:
        data = [{"run": name, "services": as_data(stack.values(), arguments.secrets)} for name, stack in stacks.items()]
        print(json.dumps(data, indent=2, default=str))
        return 0
    for name, stack in stacks.items():
        console.print(f"run {name}", markup=False)
        print_stack(console, stack.values(), arguments.secrets)
    if not stacks:
        console.print("no stack is up; start one with `harness up`", markup=False)
    return 0


def _look(run: RunDir) -> RemoteStack:
    with KeeperClient(run) as client:
        return client.stack()


VERB = Verb(configure, run)
