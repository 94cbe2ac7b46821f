"""`harness history`: past runs, and the tests that changed their verdict though nothing else changed."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime

from rich.table import Table

from harness import app
from harness.cli.verb import Verb, add_options, flags_of
from harness.errors import EXIT_GREEN
from harness.model import Outcome
from harness.report.console import make_console
from harness.report.history import Past, flakes, read


def configure(parser: argparse.ArgumentParser) -> None:
    """Where it is, and how to show it."""
    parser.add_argument("--json", action="store_true", help="as JSON: `runs`, `flakes`")
    add_options(parser, ("history",))


def run(arguments: argparse.Namespace) -> int:
    """Read and show."""
    settings = app.load_settings(flags_of(arguments))
    pasts = read(settings.root / settings["history"])
    found = flakes(pasts)
    if arguments.json:
        print(json.dumps({"runs": [asdict(past) for past in pasts], "flakes": [asdict(flake) for flake in found]}))
        return EXIT_GREEN
    console = make_console()
    console.print(_table(pasts) if pasts else f"no past run in {settings.root / settings['history']}")
    for flake in found:
        console.print(f"[yellow]FLAKY[/]  {flake}", soft_wrap=True)
    if pasts and not found:
        console.print("no test changed its verdict without a change")
    return EXIT_GREEN


def _table(pasts: list[Past]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("run", "when", "revision", "exit", "passed", "red", "seconds", "seed"):
        table.add_column(column)
    for past in pasts:
        count = Counter(past.outcomes.values())
        red = count[Outcome.FAILED] + count[Outcome.ERROR]
        when = datetime.fromtimestamp(past.at, UTC).strftime("%Y-%m-%d %H:%M")
        row = (past.exit_code, count[Outcome.PASSED], red, f"{past.seconds:.0f}", past.seed)
        table.add_row(past.run, when, past.revision or "unknown", *map(str, row))
    return table


VERB = Verb(configure, run, "example:\n  harness history --history reports/history")
