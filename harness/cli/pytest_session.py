"""One pytest session as a child process: given the run that it belongs to, ended with us or when its time is over."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import BinaryIO

from harness.app import Run
from harness.cli.verb import flags_of
from harness.config.options import OPTIONS
from harness.errors import BudgetSpent
from harness.runtimes.child import die_with_parent

GRACE = 15.0
"""Seconds that a session may take to tear down after it was interrupted."""


def forwarded(arguments: argparse.Namespace) -> dict[str, str]:
    """Our flags as variables, so that a session plans the very stack that it joins."""
    given = flags_of(arguments)
    return {
        option.variable: ",".join(given[option.name]) if option.repeat else str(given[option.name])
        for option in OPTIONS
        if option.name in given and option.name != "layers"
    }


def run_pytest(
    command: list[str],
    current: Run,
    variables: Mapping[str, str],
    within: float | None = None,
    grace: float = GRACE,
    output: BinaryIO | None = None,
) -> int:
    """Its exit code. Raises BudgetSpent when it was not over `within` seconds, and had to be ended.

    What it prints goes to `output`, or where ours goes.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if name != "HARNESS_LAYERS"},
        **variables,
        "HARNESS_ENABLED": "1",
        "HARNESS_RUN_DIR": str(current.directory.path),
        "HARNESS_REPORT_DIR": str(current.report),
        "HARNESS_SEED": str(current.seed),
        "HARNESS_RUNTIME": str(current.settings["runtime"]),
    }
    process = subprocess.Popen(
        command,
        cwd=current.settings.root,
        env=environment,
        stdout=output,
        stderr=output,
        preexec_fn=die_with_parent(),  # one system call; nothing here takes a lock
    )
    try:
        return process.wait(within)
    except subprocess.TimeoutExpired:
        _interrupt(process, grace)
        raise BudgetSpent(f"the tests were not over after {within:.0f} s") from None
    except KeyboardInterrupt:
        _interrupt(process, grace)
        raise


def _interrupt(process: subprocess.Popen[bytes], grace: float) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
