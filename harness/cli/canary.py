"""`harness canary redis=8.2`: is this version safe to take? Promote, hold or rollback, as exit code 0, 10 or 20."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from harness import app
from harness.canary.decision import Finding, overall
from harness.canary.judge import Terms, compare
from harness.canary.side import Asked, Side, sides
from harness.cli.verb import Verb, add_options, flags_of
from harness.config.options import option_named, seconds
from harness.errors import UsageError
from harness.report.console import make_console

STACK_OPTIONS = (
    "compose",
    "runtime",
    "binaries",
    "images",
    "pull",
    "mirror",
    "ready_timeout",
    "state",
    "layers",
    "slow",
)
"""What decides on the stack and goes to each run of the tree too."""


def configure(parser: argparse.ArgumentParser) -> None:
    """What to compare, and how much of it."""
    parser.add_argument("version", metavar="SERVICE=VERSION", help="a tag, an image, or a program: redis=8.2")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="runs of the tree on each side (2)")
    parser.add_argument("--samples", type=int, default=400, metavar="N", help="round trips measured on each side (400)")
    parser.add_argument("--rto", default="10s", metavar="TIME", help="seconds until a killed one answers again (10s)")
    parser.add_argument("-n", dest="workers", default="0", metavar="N", help="xdist workers of each run (0: none)")
    add_options(parser, (*STACK_OPTIONS, "reports", "allow_emulators"))


def run(arguments: argparse.Namespace) -> int:
    """Compare, tell, decide."""
    console, given = make_console(), flags_of(arguments)
    if arguments.rounds < 1 or arguments.samples < 1:
        raise UsageError("--rounds and --samples: expected a number above zero")
    current = app.new_run(app.load_settings(given))
    asked, budget = Asked.read(arguments.version), _budget(arguments.rto)
    pin, candidate = sides(current.settings, asked, current.settings["allow_emulators"])
    console.print(_first_line(asked, pin, candidate), markup=False, soft_wrap=True)
    current.prepare()
    flags = (*_forwarded(given), "--runtime", str(pin.plan.runtime), "-n", arguments.workers)
    terms = Terms(asked.service, arguments.rounds, arguments.samples, budget, flags)
    findings = list(compare(current, pin, candidate, terms, lambda text: console.print(text, markup=False)))
    current.directory.remove()
    return _decide(findings, asked, current, console)


def _budget(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"--rto {text!r}: {error}") from error


def _first_line(asked: Asked, pin: Side, candidate: Side) -> str:
    versions = f"{pin.version(asked.service)} -> {candidate.version(asked.service)}"
    return f"canary {asked.service}: {versions}; runtime {pin.plan.runtime}"


def _forwarded(given: dict[str, object]) -> list[str]:
    """The options of the stack that were given, as flags of `harness test`."""
    words: list[str] = []
    for name in (name for name in STACK_OPTIONS if name in given and name != "runtime"):
        value, flag = given[name], option_named(name).flag
        if option_named(name).is_switch:
            words += [flag] if value == "true" else []
        else:
            words += [word for item in (value if isinstance(value, list) else [value]) for word in (flag, str(item))]
    return words


def _decide(findings: Sequence[Finding], asked: Asked, current: app.Run, console: Console) -> int:
    decision = overall(findings)
    table = Table(box=None, pad_edge=False)
    for column in ("subject", "decision", "what was found"):
        table.add_column(column, overflow="fold")
    for found in findings:
        table.add_row(found.subject, str(found.decision), found.told)
    console.print(table)
    told = {"service": asked.service, "candidate": asked.version, "decision": decision, "exit_code": decision.exit_code}
    file = current.report / "canary.json"
    file.write_text(json.dumps({**told, "findings": [asdict(found) for found in findings]}, indent=2) + "\n")
    console.print(
        f"{decision}: {asked.service} {asked.version}; exit {decision.exit_code}; report: {file}", markup=False
    )
    return decision.exit_code


VERB = Verb(
    configure,
    run,
    "exit codes: 0 promote, 10 hold, 20 rollback; shifting traffic is the deployer's.\n"
    "example:\n  harness canary redis=8.2 --runtime docker\n  harness canary redis=/opt/redis-8.2/redis-server",
)
