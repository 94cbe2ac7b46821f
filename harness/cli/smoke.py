"""`harness smoke`: a yes or no on a live environment, in a minute, without harming it."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import app, journal
from harness.app import Run
from harness.cli.pytest_session import forwarded, run_pytest
from harness.cli.smoke_page import show
from harness.cli.verb import Verb, add_options, flags_of
from harness.config import packaged
from harness.config.settings import Settings
from harness.credentials import redact
from harness.errors import EXIT_INTERRUPTED, BudgetSpent, HarnessError, NothingRan
from harness.model import Source
from harness.probes.poll import Deadline
from harness.pytest_plugin.smoke import DEADLINE, ID, NOT_REACHED
from harness.report import junit, summary
from harness.report.console import make_console
from harness.report.read import RunReport, summarise
from harness.report.verdict import judge
from harness.runtimes.external import ExternalStack
from harness.smoke.at_once import at_once
from harness.smoke.identity import new_id
from harness.smoke.preflight import Seen, look
from harness.smoke.sweep import sweep, verify

TESTS = ("services", "integration")
"""Folders whose `test_*_smoke.py` are run: only those are loaded, for a minute is short."""
LOG = "pytest.log"
"""What pytest prints goes here, in the report: the page says what there is to say."""
CLEANING = 5.0
"""Seconds of the budget that are kept for removing what was written: no test is begun in them."""


def configure(parser: argparse.ArgumentParser) -> None:
    """What is to be judged, and how far it may go."""
    add_options(parser, ("target", "read_only", "budget", "allow_emulators", "reports", "state"))


def run(arguments: argparse.Namespace) -> int:
    """Ask, test, remove, judge. Bad input ends it before anything is written."""
    settings = app.load_settings({**flags_of(arguments), "runtime": "external"})
    deadline, stack = Deadline.after(settings["budget"]), app.read_target(settings)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    current, smoke = app.new_run(settings), _Smoke(new_id(), settings, stack, deadline)
    current.prepare()
    try:
        interrupted = smoke.run(current, forwarded(arguments))
    finally:
        signal.signal(signal.SIGTERM, previous)
        current.directory.remove()
    return _report(current, interrupted)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class _Smoke:
    """One smoke run."""

    def __init__(self, identity: str, settings: Settings, stack: ExternalStack, deadline: Deadline) -> None:
        self.identity, self.settings, self.stack, self.deadline = identity, settings, stack, deadline
        self.writes = not settings["read_only"]
        self.begun, self.swept = time.monotonic(), list[str]()

    def run(self, current: Run, variables: dict[str, str]) -> bool:
        """True when it was interrupted."""
        seen = look(self.stack, self.identity, self.deadline, self.writes, self.settings["allow_emulators"])
        app.begin_external(current, ExternalStack({name: self._asked(name, seen[name]) for name in self.stack}))
        error = next((_of(name, one.error) for name, one in seen.items() if one.error), None)
        interrupted = False
        if error is None:
            try:
                self.swept = self._sweep() if self.writes else []
                self._test(current, variables)
            except KeyboardInterrupt:
                current.journal.write(journal.SESSION_ERROR, detail="interrupted")
                interrupted = True
            except HarnessError as raised:
                error = raised
            if self.writes:
                self._verify(current)
        self._judge(current, seen, error)
        return interrupted

    def _asked(self, name: str, seen: Seen) -> Any:
        handle = self.stack[name]
        source = Source.EMULATOR if seen.emulated else Source.LIVE
        cause = seen.error.message if seen.error else ""
        fidelity = replace(handle.fidelity, source=source, version=seen.version)
        return replace(handle, fidelity=fidelity, cause=cause, ready_after=seen.seconds)

    def _test(self, current: Run, variables: dict[str, str]) -> None:
        folder, ini = packaged.infrastructure_tests(), packaged.pytest_settings()
        files = [str(file) for part in TESTS for file in sorted((folder / part).glob("test_*_smoke.py"))]
        command = [sys.executable, "-m", "pytest", "-c", str(ini), "--rootdir", str(ini.parent), "-m", "smoke"]
        command.append("--tb=short")  # a long one has the arguments of every call, and so the headers that log in
        left_for_tests = max(0.0, self.deadline.left - CLEANING)
        given = {**variables, ID: self.identity, DEADLINE: str(time.time() + left_for_tests)}
        current.journal.write(journal.LAYER_STARTED, name="smoke")
        try:
            with (current.report / LOG).open("wb") as log:
                code = run_pytest([*command, *files], current, given, left_for_tests, CLEANING, log)
        except BudgetSpent:
            return  # what was not reached is told, test by test
        finally:
            self._mask(current.report / LOG)
        current.journal.write(journal.LAYER_FINISHED, name="smoke", exit=code)
        if code not in (0, 1, NothingRan.exit_code):
            current.journal.write(journal.SESSION_ERROR, detail=f"pytest ended with exit code {code}")

    def _mask(self, log: Path) -> None:
        secrets = [secret.reveal() for handle in self.stack.values() for secret in handle.credentials.values()]
        log.write_text(redact(log.read_text(encoding="utf-8", errors="replace"), secrets), encoding="utf-8")

    def _sweep(self) -> list[str]:
        outcomes = at_once(self.stack, sweep, self.deadline)
        if error := next((_of(name, one.error) for name, one in outcomes.items() if one.error), None):
            raise error
        return [swept for outcome in outcomes.values() for swept in outcome.answer or ()]

    def _verify(self, current: Run) -> None:
        """See that nothing of this run is left, whatever became of its tests."""
        soon = Deadline.after(max(CLEANING, self.deadline.left))
        outcomes = at_once(self.stack, lambda handle: verify(handle, self.identity), soon)
        wrong = [f"{name}: {one.error.message}" for name, one in outcomes.items() if one.error]
        if wrong:
            current.journal.write(journal.LEFT_BEHIND, what=wrong)

    def _judge(self, current: Run, seen: dict[str, Seen], error: HarnessError | None) -> None:
        report = _read(current)
        services = {name: _shown(one) for name, one in seen.items()}
        current.journal.write(
            journal.SMOKE_JUDGED,
            identity=self.identity,
            read_only=not self.writes,
            budget=self.deadline.budget,
            seconds=round(time.monotonic() - self.begun, 3),
            services=services,
            exit=error.exit_code if error else 0,
            cause=error.message if error else "",
            not_reached=[] if error else not_reached(report, _planned(current)),
            swept=self.swept,
        )


def _of(service: str, error: HarnessError) -> HarnessError:
    return type(error)(f"{service}: {error.message}", error.next_step)


def _shown(seen: Seen) -> dict[str, Any]:
    return {
        "kind": seen.kind,
        "version": seen.version,
        "certificate_until": seen.certificate_until,
        "seconds": round(seen.seconds, 3),
        "error": type(seen.error).__name__ if seen.error else "",
        "cause": seen.error.message if seen.error else "",
        "next_step": seen.error.next_step if seen.error else "",
    }


def _planned(current: Run) -> list[str] | None:
    for event in journal.read(current.report / journal.FILE_NAME):
        if event.type == journal.SMOKE_PLANNED:
            return list(event["tests"])
    return None


def not_reached(report: RunReport, planned: list[str] | None) -> list[str]:
    """The tests that were to run and did not for want of time, by name; a session that planned nothing reached none."""
    if planned is None:
        return ["every test"]
    over = {test.id for test in report.tests if not test.reason.startswith(NOT_REACHED)}
    return [test.rpartition("::")[2] for test in planned if test not in over]


def _read(current: Run) -> RunReport:
    return summarise(journal.read(current.report / journal.FILE_NAME))


def _report(current: Run, interrupted: bool) -> int:
    report = _read(current)
    code = EXIT_INTERRUPTED if interrupted else judge(report).exit_code
    current.journal.write(journal.RUN_FINISHED, exit=code)
    junit.write(report, current.report)
    summary.write(report, current.report)
    console = make_console()
    show(report, code, console)
    console.print(f"report: {current.report}", markup=False, soft_wrap=True)
    return code


VERB = Verb(
    configure,
    run,
    "examples:\n"
    "  harness smoke --target staging.toml               a yes or no in under a minute\n"
    "  harness smoke --target live.toml --read-only      writes nothing at all\n"
    "  harness smoke --target lab.toml --allow-emulators a rehearsal\n"
    "What it writes is below smoke/<id>/, and gone at the end. Secrets come from files, variables or commands.\n"
    "exit code: 0 yes; 1 a test is red; 14 down, 15 untrusted certificate, 16 expired certificate or login,\n"
    "17 forbidden, 18 another service, 19 not all reached in time, 6 an emulator, 2 the target file, 9 something left",
)
