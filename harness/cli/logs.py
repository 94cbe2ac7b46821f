"""`harness logs`: what the services of a running stack printed."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from harness import app
from harness.cli.verb import Verb, add_options, flags_of
from harness.config.options import whole
from harness.credentials import redact
from harness.errors import UsageError
from harness.keeper.client import KeeperClient, RemoteHandle, RemoteStack


def configure(parser: argparse.ArgumentParser) -> None:
    """Which service, and how much."""
    parser.add_argument("service", nargs="*", help="services to show; all when none is named")
    parser.add_argument("--run", default="", metavar="ID", help="the run; needed when several are up")
    parser.add_argument("--tail", type=whole, default=0, metavar="N", help="only the last N lines of each")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    add_options(parser, ("state",))


def run(arguments: argparse.Namespace) -> int:
    """Print, each line after its service's name."""
    with KeeperClient(app.pick_running(app.load_settings(flags_of(arguments)), arguments.run)) as client:
        handles = _chosen(client.stack(), arguments.service)
    at = {handle.log: _print(handle, 0, arguments.tail) for handle in handles}
    while arguments.follow:
        time.sleep(0.2)
        at = {handle.log: _print(handle, at[handle.log], 0) for handle in handles}
    return 0


def _chosen(stack: RemoteStack, names: list[str]) -> list[RemoteHandle]:
    for name in names:
        if name not in stack:
            raise UsageError(f"no service {name!r}: expected one of {', '.join(stack)}")
    return [stack[name] for name in names or stack]


def _print(handle: RemoteHandle, start: int, tail: int) -> int:
    """Print what came since byte `start`; returns where it ends now."""
    path: Path = handle.log
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    secrets = [secret.reveal() for secret in handle.credentials.values()]
    lines = redact(data.decode(errors="replace"), secrets).splitlines()
    for line in lines[-tail:] if tail else lines:
        sys.stdout.write(f"{handle.name}  {line}\n")
    sys.stdout.flush()
    return start + len(data)


VERB = Verb(configure, run, "example:\n  harness logs redis --tail 20")
