"""What a verb is, and the options that several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from harness.config.options import OPTIONS, Option, option_named


def _nothing(parser: argparse.ArgumentParser) -> None:
    del parser


@dataclass(frozen=True)
class Verb:
    """A command. `configure` adds its arguments, `run` does it and returns the exit code."""

    configure: Callable[[argparse.ArgumentParser], None] = _nothing
    run: Callable[[argparse.Namespace], int] | None = None
    examples: str = ""


STACK_OPTIONS = (
    "compose",
    "runtime",
    "require_fidelity",
    "binaries",
    "reports",
    "state",
    "allow_degrade",
    "pull",
    "mirror",
    "images",
    "ssh_config",
)
"""What decides which stack runs, and where."""


def add_options(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Add declared options, each with its variable in its help."""
    for name in names:
        _add(parser, option_named(name))


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    help_text = f"{option.help} [{option.variable}]"
    destination = f"option_{option.name}"
    if option.is_switch:
        parser.add_argument(option.flag, dest=destination, action="store_const", const="true", help=help_text)
        parser.add_argument(
            "--no-" + option.flag.removeprefix("--"),
            dest=destination,
            action="store_const",
            const="false",
            help=argparse.SUPPRESS,
        )
    elif option.repeat:
        parser.add_argument(option.flag, dest=destination, action="append", metavar=option.metavar, help=help_text)
    else:
        parser.add_argument(option.flag, dest=destination, metavar=option.metavar or "X", help=help_text)


def flags_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given on the command line, by option name."""
    names = (option.name for option in OPTIONS)
    given = {name: getattr(arguments, f"option_{name}", None) for name in names}
    return {name: value for name, value in given.items() if value is not None}
