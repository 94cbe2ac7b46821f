"""From pytest's reports to the journal; and under a failure, the services' log lines of that test's window."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from harness.credentials import redact
from harness.journal import SESSION_ERROR, TEST_FINISHED
from harness.model import Outcome
from harness.ports import Loggable
from harness.pytest_plugin.layers import is_ours, kinds_used, layer_of
from harness.pytest_plugin.session import HarnessSession

WINDOW_BYTES = 8_192
"""How much of a log's window goes under a failure: its end. The whole log is in the report directory."""


class Windows:
    """Notes where each used service's log stands when a test begins, and cuts the window out when it fails."""

    def __init__(self, session: HarnessSession) -> None:
        self._session = session
        self._at: dict[str, int] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Any:
        """Remember the size of each log."""
        if is_ours(item) and self._session.started:
            handles = [handle for handle in self._session.stack.values() if isinstance(handle, Loggable)]
            self._at = {handle.name: _size(handle.log) for handle in handles}
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        """Add what the recorder needs, and the sections of a failure."""
        report = yield
        if not (is_ours(item) or self._session.records_all):
            return report
        names = self._session.known_names(kinds_used(item))
        engine = {"engine": self._session.run.engine} if self._session.run.engine else {}
        report.harness = {"layer": layer_of(item.nodeid).name, "uses": list(names), **engine}
        if report.failed:
            self._explain(report, item, names)
        return report

    def _explain(self, report: pytest.TestReport, item: pytest.Item, names: tuple[str, ...]) -> None:
        for name in names if self._session.started else ():
            handle = self._session.stack[name]
            if not isinstance(handle, Loggable):
                continue
            secrets = [secret.reveal() for secret in handle.credentials.values()]
            text = redact(_window(handle.log, self._at.get(name, 0)), secrets)
            report.sections.append((f"log of {name} during this test", text or "(it printed nothing)"))
        run = self._session.run
        where = f" --engines {run.engine}" if run.engine else ""
        command = f"harness test {shlex.quote(item.nodeid)} --seed {run.seed}{where}"
        report.sections.append(("run just this test again", command))


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _window(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(start, _size(log) - WINDOW_BYTES))
            return file.read().decode(errors="replace").rstrip()
    except OSError as error:
        return f"({log}: {error.strerror})"


class Recorder:
    """Writes one event per test. Lives where pytest reports arrive: in the controller, or in the only process."""

    def __init__(self, session: HarnessSession) -> None:
        self._session = session
        self._parts: dict[str, list[pytest.TestReport]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather set-up, call and teardown of a test, and record them as one."""
        parts = self._parts.setdefault(report.nodeid, [])
        parts.append(report)
        if report.when == "teardown" or not hasattr(report, "harness"):
            self._record(self._parts.pop(report.nodeid))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected makes the run red."""
        if report.failed and self._session.run.prepared:
            self._session.run.journal.write(SESSION_ERROR, detail=f"{report.nodeid}: {_reason(report)}")

    def pytest_internalerror(self, excrepr: Any) -> None:
        """pytest itself failed."""
        if self._session.run.prepared:
            self._session.run.journal.write(SESSION_ERROR, detail=f"pytest: {str(excrepr).splitlines()[-1]}")

    def _record(self, parts: list[pytest.TestReport]) -> None:
        ours = next((part for part in parts if hasattr(part, "harness")), None)
        crashed = ours is None and parts[-1].when not in {"setup", "call", "teardown"}
        if ours is None and not crashed:
            return
        about = getattr(ours, "harness", None) or {"layer": layer_of(parts[-1].nodeid).name, "uses": []}
        worst = next((part for part in parts if part.failed), None) or parts[min(1, len(parts) - 1)]
        outcome = _outcome(parts)
        shown = outcome is not Outcome.PASSED
        self._session.run.prepare()
        journal = self._session.run.journal
        journal.hide(self._session.secrets)
        journal.write(
            TEST_FINISHED,
            test=parts[-1].nodeid,
            layer=about["layer"],
            uses=about["uses"],
            outcome=outcome,
            seconds=round(sum(part.duration for part in parts), 4),
            reason=_reason(_skipped(parts) or worst) if shown else "",
            detail=_detail(worst) if outcome in (Outcome.FAILED, Outcome.ERROR) else "",
            worker=getattr(parts[-1], "worker_id", "main"),
            **({"engine": about["engine"]} if "engine" in about else {}),
            properties=dict(parts[-1].user_properties),
        )


def _skipped(parts: list[pytest.TestReport]) -> pytest.TestReport | None:
    failed = any(part.failed for part in parts)
    return None if failed else next((part for part in parts if part.skipped), None)


def _outcome(parts: list[pytest.TestReport]) -> Outcome:
    if any(part.failed and part.when in {"setup", "teardown"} for part in parts):
        return Outcome.ERROR
    if any(part.failed for part in parts):
        return Outcome.FAILED
    skipped = _skipped(parts)
    if skipped is not None:
        return Outcome.BLOCKED if getattr(skipped, "harness_blocked", False) else Outcome.SKIPPED
    return Outcome.PASSED


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """One line: the message of a skip, or of the exception."""
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):
        return str(longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(longrepr or "")
    if getattr(report, "wasxfail", ""):
        return f"expected failure: {report.wasxfail}"
    return next((line for line in text.splitlines() if line.strip()), "no message")[:300]


def _detail(report: pytest.TestReport) -> str:
    sections = "\n".join(f"---- {title} ----\n{text}" for title, text in report.sections)
    return f"{report.longreprtext}\n{sections}".strip()
