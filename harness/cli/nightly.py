"""`harness nightly`: everything, on real servers, in an order drawn anew; tried again only when it never began.

The tests run in a child, `harness test`, so that there are artefacts however that ends. What it asks for beyond a run
at a desk: docker, no emulators, slow tests, the soak, a shuffled order, and a history of past runs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from harness import app
from harness.cli.nightly_report import Attempt, write
from harness.cli.verb import Verb, add_options, flags_of
from harness.config.options import option_named
from harness.config.settings import Settings
from harness.errors import EXIT_INTERRUPTED, ReportError, UsageError
from harness.keeper.rundir import new_run_id
from harness.model import RuntimeName
from harness.runtimes.child import die_with_parent

SOAK = 600.0
"""Seconds of soak when nobody says otherwise."""
PAUSE = 15.0
"""Seconds before the second try; each further one waits as long again."""
ENDS_WITHIN = 90.0
"""Seconds that an interrupted run gets to clean up and report."""
HANDED_ON = ("compose", "binaries", "ready_timeout", "layers", "state", "pull", "mirror", "images", "gate", "engines")


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the night, and those of the stack."""
    parser.add_argument("-n", dest="workers", default="2", metavar="N", help="xdist workers (2)")
    parser.add_argument("--pytest", action="append", default=[], metavar="ARG", help="one more argument for pytest")
    add_options(parser, (*HANDED_ON, "runtime", "reports", "seed", "soak", "retries", "history", "may_emulate"))


def run(arguments: argparse.Namespace) -> int:
    """Run, try again if it never began, report whatever happened."""
    settings = app.load_settings(flags_of(arguments))
    command = _command(settings, arguments)
    directory = _directory(settings)
    print(f"nightly: seed {settings['seed']}; again in this order: harness nightly --seed {settings['seed']}")
    attempts: list[Attempt] = []
    with _interruptible():
        try:
            for number in range(int(settings["retries"]) + 1):
                time.sleep(PAUSE * number)
                attempts.append(_attempt(command, directory, number + 1))
                if not attempts[-1].never_began:
                    break
                print(f"nightly: the infrastructure was not to be had (attempt {number + 1}); no test ran", flush=True)
        except KeyboardInterrupt:
            attempts.append(Attempt(EXIT_INTERRUPTED, directory / f"attempt-{len(attempts) + 1}"))
    return write(directory, attempts, settings)


def _command(settings: Settings, arguments: argparse.Namespace) -> list[str]:
    """`harness test` with all that a night wants. Raises UsageError."""
    if find_spec("pytest_randomly") is None:
        raise UsageError("a nightly run is shuffled, which needs pytest-randomly", "pip install pytest-randomly")
    soak = SOAK if settings.origin("soak") == "default" else settings["soak"]
    seed = str(settings["seed"])
    words = ["--slow", "--soak", f"{soak:g}", "--seed", seed, "--runtime", _runtime(settings), "-n", arguments.workers]
    words += ["--pytest=-prandomly", f"--pytest=--randomly-seed={seed}"]
    words += [f"--pytest={argument}" for argument in arguments.pytest]
    required = ",".join(_required(settings))
    words += [*_handed_on(arguments), *(("--require-fidelity", required) if required else ())]
    return [sys.executable, "-m", "harness.cli.main", "test", *words]


def _handed_on(arguments: argparse.Namespace) -> Iterator[str]:
    """What was given for the stack, as it was given."""
    for name, value in flags_of(arguments).items():
        option = option_named(name)
        if name not in HANDED_ON:
            continue
        if option.is_switch:
            yield option.flag if value == "true" else option.flag.replace("--", "--no-", 1)
        else:
            yield from (word for one in (value if option.repeat else [value]) for word in (option.flag, str(one)))


def _runtime(settings: Settings) -> str:
    """Docker, unless this is a rehearsal that says so."""
    wanted = settings["runtime"]
    if wanted in ("auto", RuntimeName.DOCKER):
        return str(RuntimeName.DOCKER)
    if wanted == RuntimeName.PROCESS and settings["may_emulate"]:
        return str(wanted)
    raise UsageError(
        f"a nightly run needs the docker runtime, found {wanted} ({settings.origin('runtime')})",
        "leave --runtime away; to rehearse on processes name what may be emulated with --may-emulate",
    )


def _required(settings: Settings) -> list[str]:
    """The services that must be real: all but those allowed by name. Raises UsageError for an unknown one."""
    allowed = set(settings["may_emulate"])
    services = app.services_of(settings)
    known = {"all", *services, *(service.kind for service in services.values() if service.kind)}
    if unknown := allowed - known:
        raise UsageError(f"--may-emulate {min(unknown)}: no such service or kind", f"known: {', '.join(sorted(known))}")
    if not allowed:
        return ["real"]
    return [name for name, service in services.items() if not allowed & {"all", name, service.kind}]


def _directory(settings: Settings) -> Path:
    """Where everything of this night goes; `nightly` beside it leads to the last one. Raises ReportError."""
    root: Path = (settings.root / settings["reports"]).absolute()
    directory = root / f"nightly-{new_run_id()}"
    try:
        directory.mkdir(parents=True)
        link = root / f".nightly-{os.getpid()}"
        link.symlink_to(directory.name)
        link.replace(root / "nightly")
    except OSError as error:
        raise ReportError(f"reports directory {root}: {error.strerror}", "choose another with --reports") from error
    return directory


def _attempt(command: list[str], directory: Path, number: int) -> Attempt:
    """One child, its output shown and kept."""
    reports = directory / f"attempt-{number}"
    with (
        (directory / f"console-{number}.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [*command, "--reports", str(reports)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=die_with_parent(),  # one system call; nothing here takes a lock
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                log.write(line)
            return Attempt(process.wait(), reports)
        except KeyboardInterrupt:
            _end(process)
            raise


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the night as Ctrl-C does: with a report."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


VERB = Verb(
    configure,
    run,
    "examples:\n"
    "  harness nightly                                    everything, docker, no emulators\n"
    "  harness nightly --soak 60m --history /srv/history\n"
    "  harness nightly --seed 4711                        an earlier night's order again\n"
    "  harness nightly --runtime process --may-emulate all --soak 30s     a rehearsal",
)
