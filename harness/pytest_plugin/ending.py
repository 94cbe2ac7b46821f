"""The end of a pytest session that owns its run: keep or close the stack, write the reports, answer for the result."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from harness import app, journal
from harness.errors import HarnessError, KeeperError
from harness.keeper import rundir
from harness.keeper.client import KeeperClient
from harness.model import ServiceStatus, StackPlan, State
from harness.pytest_plugin.session import HarnessSession
from harness.report.engines import lines as engine_lines
from harness.report.files import write_all
from harness.report.read import RunReport, summarise
from harness.report.terminal import emulated_line, fidelity_line
from harness.report.verdict import judge


class Ending:
    """Registered in the controller, or in the only process."""

    def __init__(self, session: HarnessSession) -> None:
        self._session = session
        self._lines: list[str] = []
        self._terminal: Any = None
        self._capture: Any = None
        session.announce = self._announce
        session.progress = self._progress

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Find the terminal, for progress while services start: inside a test's set-up, where output is captured."""
        self._terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        self._capture = session.config.pluginmanager.get_plugin("capturemanager")

    def _say(self, text: str) -> None:
        if self._terminal is None:
            return
        with self._capture.global_and_fixture_disabled() if self._capture else nullcontext():
            self._terminal.ensure_newline()
            self._terminal.write_line(text)

    def _announce(self, plan: StackPlan, reason: str) -> None:
        self._say(fidelity_line(plan.emulated, len(plan.services), plan.runtime, reason, plan.unproven))

    def _progress(self, status: ServiceStatus) -> None:
        if status.state is State.READY:
            self._say(f"  {status.name} ready after {status.ready_after:.2f} s: {status.fidelity}")
        elif status.cause:
            self._say(f"  {status.name} {status.state}: {status.cause}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close or keep, and let the journal have the last word on the exit code."""
        run = self._session.run
        if not self._session.owns_run or not run.prepared:
            self._session.close()
            return
        self._end_stack(red=exitstatus != pytest.ExitCode.OK or bool(judge(self._read()).exit_code))
        report = self._read()
        verdict = judge(report)
        run.journal.write(journal.RUN_FINISHED, exit=verdict.exit_code)
        self._write(report)
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and verdict.exit_code:
            session.exitstatus = verdict.exit_code
            self._lines.append(f"CAUSE  {verdict.cause}")

    def _read(self) -> RunReport:
        return summarise(journal.read(self._session.run.report / journal.FILE_NAME))

    def _end_stack(self, red: bool) -> None:
        """Of every engine, when several were named."""
        if self._session.external:
            self._session.run.directory.remove()
            return
        for run in self._session.run.stacks:
            self._end_one(run, red)

    def _end_one(self, run: app.Run, red: bool) -> None:
        session = self._session
        try:
            client = app.connect(run)
        except KeeperError as error:
            if run.directory.keeper() is None:  # no test has needed the stack
                run.directory.remove()
            else:
                lose_keeper(run, error)
            return
        keep = session.settings["keep"]
        if session.settings["attach"]:
            client.disconnect()
        elif keep == "always" or (keep == "on-failure" and red):
            client.keep()
            self._lines += how_to_reach(run, client.stack())
        else:
            session.close()
            close_stack(run, client)

    def _write(self, report: RunReport) -> None:
        directory = self._session.run.report
        write_all(report, directory)
        if report.emulated:
            self._lines.append(emulated_line(report.emulated, len(report.names), report.unproven))
        self._lines += [*engine_lines(report.engines, report.services), f"report: {directory}"]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What a person has to know below pytest's own summary."""
        if self._lines:
            terminalreporter.section("infra-harness")
            for line in self._lines:
                terminalreporter.write_line(line)


def close_stack(run: app.Run, client: KeeperClient) -> None:
    """End one stack, and note what is left of it."""
    try:
        left = client.close_stack()
    except HarnessError as error:
        lose_keeper(run, error)
        return
    if left:
        run.journal.write(journal.LEFT_BEHIND, what=[run.of_engine(item) for item in left])


def lose_keeper(run: app.Run, error: HarnessError) -> None:
    """Note that the keeper of a stack was lost, so that nobody ends it any more, and sweep its directory."""
    run.journal.write(journal.LEFT_BEHIND, what=[run.of_engine(str(error))])
    rundir.sweep_lost(run.directory)


def how_to_reach(run: app.Run, stack: Any) -> list[str]:
    """Lines for a person who wants to look at a stack that was kept."""
    lines = [f"the stack of run {run.id} is kept:"]
    lines += [
        f"  {handle.name:16} " + "  ".join(f"{endpoint.name} {endpoint.url}" for endpoint in handle.endpoints.values())
        for handle in stack.values()
    ]
    return [
        *lines,
        f"  passwords: harness status --run {run.id} --secrets",
        f"  end it:    harness down --run {run.id}",
    ]
