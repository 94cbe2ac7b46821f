"""`harness chaos`: break a service of a stack that is up, see that it bites, and have it undone whatever happens."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from dataclasses import fields

from harness import app
from harness.cli.verb import Verb, add_options, flags_of
from harness.config.options import seconds
from harness.errors import FaultError, UsageError
from harness.experiments.chaos import experiment_on, fault_from
from harness.experiments.experiment import Outcome
from harness.experiments.run import run as run_experiment
from harness.faults import FAULTS
from harness.keeper.client import KeeperClient
from harness.model import Verdict
from harness.report.console import make_console

STATUS, HEAL = "status", "heal"


def configure(parser: argparse.ArgumentParser) -> None:
    """What to break, for how long; or what is broken."""
    names = [name for fault in FAULTS for name in (fault.name, *fault.also)]
    words = ", ".join(" or ".join((fault.name, *fault.also)) for fault in FAULTS)
    parser.add_argument("action", choices=[STATUS, HEAL, *names], metavar="FAULT|status|heal", help=words)
    parser.add_argument("service", nargs="?", default="", help="the service to break")
    parser.add_argument("--for", dest="duration", default="5s", metavar="TIME", help="how long, once witnessed (5s)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the fault")
    parser.add_argument("--run", default="", metavar="ID", help="the stack, when several are up")
    add_options(parser, ("state",))


def run(arguments: argparse.Namespace) -> int:
    """Break, or tell, or heal."""
    directory = app.pick_running(app.load_settings(flags_of(arguments)), arguments.run)
    with KeeperClient(directory) as client:
        if arguments.action == STATUS:
            return _status(client)
        if arguments.action == HEAL:
            return _heal(client)
        return _break(client, arguments)


def _status(client: KeeperClient) -> int:
    console = make_console()
    broken = client.call("broken")
    for target, verb in broken:
        console.print(f"{target}: broken, {verb} undoes it", markup=False)
    if not broken:
        console.print("nothing is broken", markup=False)
    return 0


def _heal(client: KeeperClient) -> int:
    console = make_console()
    broken = client.call("broken")
    failed = client.call("heal")
    if failed:
        raise FaultError(f"could not heal: {'; '.join(failed)}", "end the stack with `harness down`")
    for target, verb in broken:
        console.print(f"{target}: {verb}: done", markup=False)
    if not broken:
        console.print("nothing was broken", markup=False)
    return 0


def _break(client: KeeperClient, arguments: argparse.Namespace) -> int:
    console = make_console()
    if not arguments.service:
        raise UsageError(f"chaos {arguments.action}: expected a service", "see `harness status`")

    def tell(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    fault = fault_from(arguments.action, _given(arguments.set))
    experiment = experiment_on(client.stack(), arguments.service, fault, _duration(arguments.duration), tell)
    settings = ", ".join(f"{item.name}={getattr(fault, item.name)}" for item in fields(fault))
    tell(f"{fault.name} on {arguments.service}{f' ({settings})' if settings else ''}")
    previous = signal.signal(signal.SIGTERM, _interrupt)  # the undo then runs as for Ctrl-C
    try:
        outcome = run_experiment(experiment)
    except KeyboardInterrupt:
        tell("interrupted: undone")
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
    return _tell(outcome, tell)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _tell(outcome: Outcome, tell: Callable[[str], None]) -> int:
    if outcome.verdict is not Verdict.VALID:
        raise FaultError(f"{outcome.ending}: {outcome.cause}", "see `harness chaos status` and `harness status`")
    measured, served = outcome.measured, outcome.measured["rto_seconds"]
    again = "not seen to be served again" if served is None else f"served again {served:.2f} s after the fault"
    tell(
        f"undone in {measured['undo_seconds']:.2f} s, verified after {measured['healed_seconds']:.2f} s; "
        f"{again}, steady {measured['recovery_seconds']:.2f} s "
        "after the undo"
    )
    return 0


def _given(words: list[str]) -> dict[str, str]:
    for word in words:
        if "=" not in word:
            raise UsageError(f"--set {word!r}: expected NAME=VALUE")
    return dict(word.split("=", 1) for word in words)


def _duration(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"--for {text!r}: {error}") from error


VERB = Verb(
    configure,
    run,
    "examples:\n  harness chaos pause redis --for 10s\n  harness chaos latency redis --set milliseconds=500\n"
    "  harness chaos status\n  harness chaos heal",
)
