"""The pieces of the recorder: windows of logs, outcomes and reasons of pytest's reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.model import Outcome
from harness.pytest_plugin import recorder


def report(when: str, outcome: str, longrepr: Any = None, **more: Any) -> pytest.TestReport:
    made = pytest.TestReport("t.py::a", ("t.py", 1, "a"), {}, outcome, longrepr, when)  # type: ignore[arg-type]
    for name, value in more.items():
        setattr(made, name, value)
    return made


SKIP = ("t.py", 3, "Skipped: blocked by redis")
OK = [report("setup", "passed"), report("call", "passed"), report("teardown", "passed")]


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        (OK, Outcome.PASSED),
        ([OK[0], report("call", "failed"), OK[2]], Outcome.FAILED),
        ([report("setup", "failed"), OK[2]], Outcome.ERROR),
        ([OK[0], OK[1], report("teardown", "failed")], Outcome.ERROR),
        ([OK[0], report("call", "failed"), report("teardown", "failed")], Outcome.ERROR),
        ([report("setup", "skipped", SKIP), OK[2]], Outcome.SKIPPED),
        ([report("setup", "skipped", SKIP, harness_blocked=True), OK[2]], Outcome.BLOCKED),
        ([report("???", "failed", "worker 'gw0' crashed")], Outcome.FAILED),
    ],
)
def test_the_worst_part_decides(parts: list[pytest.TestReport], outcome: Outcome) -> None:
    assert recorder._outcome(parts) is outcome


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (report("setup", "skipped", SKIP), "blocked by redis"),
        (report("call", "failed", "\n\nworker 'gw0' crashed\nmore"), "worker 'gw0' crashed"),
        (report("call", "failed", None), "no message"),
        (report("call", "failed", "x" * 500), "x" * 300),
        (report("call", "skipped", "assert 0", wasxfail="known"), "expected failure: known"),
    ],
)
def test_a_reason_is_one_line(given: pytest.TestReport, reason: str) -> None:
    assert recorder._reason(given) == reason


def test_a_window_is_what_came_since_the_test_began_and_its_end(tmp_path: Path) -> None:
    log = tmp_path / "l"
    assert recorder._size(log) == 0
    assert recorder._window(log, 0) == f"({log}: No such file or directory)"
    log.write_text("before\n")
    start = recorder._size(log)
    with log.open("a") as file:
        file.write("during \n")
    assert recorder._window(log, start) == "during"
    log.write_text("x" * 20_000)
    assert recorder._window(log, 0) == "x" * recorder.WINDOW_BYTES
