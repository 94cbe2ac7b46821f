"""`harness`: reads the command line, runs one verb, turns every error into one sentence and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from harness import __version__
from harness.cli.verb import Verb
from harness.errors import EXIT_INTERRUPTED, HarnessError, UsageError

VERBS = (
    ("test", "Start the stack, run the layers, report, clean up."),
    ("nightly", "Everything on real servers, shuffled, with a soak, a history and a list of flaky tests."),
    ("history", "Show past nightly runs, and the tests that changed their verdict without a change."),
    ("up", "Start the stack and leave it up."),
    ("down", "End a running stack and verify that nothing is left behind."),
    ("status", "Show running stacks: state, version, addresses."),
    ("health", "Ask every service whether it does its work, how full it is, and whose fault it is if not."),
    ("smoke", "Judge a live environment in a minute, without harming it."),
    ("logs", "Show what services printed."),
    ("images", "List, pull, save and load the images of a stack."),
    ("chaos", "Break a service of a running stack, see that it bites, have it undone."),
    ("canary", "Say whether a new version of a service is safe to take: promote, hold or rollback."),
    ("doctor", "Say what is here, what would run, and what is missing. Starts nothing."),
)
"""A verb is a file of this folder with a `VERB`; only the chosen one is imported."""

DESCRIPTION = """\
Stands up a platform's real infrastructure, proves in layers that each service works, that they work together
and that they survive failure, and says whether to ship.
"""
EPILOG = """\
first steps:
  harness doctor            what is here, what would run, what is missing
  harness test              start the stack, run every layer, report, clean up
  harness up                start the stack and leave it up; then `harness status`, `harness down`

Every option is also a variable (HARNESS_RUNTIME=process) and a key of [tool.infra-harness] in pyproject.toml;
a flag wins over a variable, a variable over the file.
exit codes: 0 green, 1 a test is red, 2 usage, 3 compose file, 4 a service did not come up or is not well,
5 nothing ran, 6 fidelity cannot be met, 7 runtime unavailable, 8 report not writable, 9 something left behind,
14 to 19 a live environment cannot be judged (harness smoke --help), 130 interrupted.
"""


class Parser(argparse.ArgumentParser):
    """argparse, with a usage error that is one of ours."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse for a command line it cannot read."""
        raise UsageError(f"{self.prog}: {message}", f"see `{self.prog} --help`")


def load_verb(name: str) -> Verb:
    """A verb, importing its file only now."""
    verb: Verb = import_module(f"harness.cli.{name}").VERB
    return verb


def make_parser(chosen: str = "") -> argparse.ArgumentParser:
    """The command line, with the arguments of one verb: `harness --help` loads none of what the verbs need."""
    parser = Parser(
        prog="harness",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"harness {__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="COMMAND", title="commands", parser_class=Parser)
    for name, help_text in VERBS:
        verb = load_verb(name) if name == chosen else Verb(examples="")
        command = commands.add_parser(
            name,
            help=help_text,
            description=help_text,
            epilog=verb.examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        verb.configure(command)
        command.set_defaults(execute=verb.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; never lets a traceback of bad input through."""
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        parser = make_parser(next((word for word in words if not word.startswith("-")), ""))
        arguments = parser.parse_args(words)
        if not arguments.verb:
            parser.print_help()
            return UsageError.exit_code
        return int(arguments.execute(arguments))
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone; nothing to tell it
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    raise SystemExit(main())
