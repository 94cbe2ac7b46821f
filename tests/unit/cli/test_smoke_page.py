"""The page of a smoke run: one word first, a sentence, and nothing claimed that was not seen."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from harness.cli.smoke import not_reached
from harness.cli.smoke_page import show
from harness.model import Outcome
from harness.report.read import RunReport, ServiceReport
from harness.report.read import TestReport as Ended
from harness.report.verdict import judge

WELL = {
    "kind": "redis",
    "version": "8.6.3",
    "certificate_until": "",
    "seconds": 0.1,
    "error": "",
    "cause": "",
    "next_step": "",
}


def report(*tests: Ended, service: dict[str, Any] | None = None, **smoke: Any) -> RunReport:
    about = {
        "identity": "id",
        "read_only": False,
        "budget": 60.0,
        "seconds": 1.0,
        "exit": 0,
        "cause": "",
        "not_reached": [],
        "swept": [],
        "services": {"cache": {**WELL, **(service or {})}},
        **smoke,
    }
    return RunReport("r", 1, "external", "target t", 0.0, 1.0, (SERVICE,), tests, ("smoke",), smoke=about)


SERVICE = ServiceReport("cache", "redis", "live", "8.6.3", "", True)


def one(outcome: Outcome, name: str = "test_a", reason: str = "") -> Ended:
    return Ended(f"t.py::{name}", "services", ("cache",), outcome, 0.1, reason)


def page(found: RunReport) -> str:
    stream = io.StringIO()
    show(found, judge(found).exit_code, Console(file=stream, width=160, force_terminal=False))
    return stream.getvalue()


def test_yes_is_said_when_all_was_seen_and_what_was_written_is_gone() -> None:
    text = page(report(one(Outcome.PASSED)))
    assert text.startswith("YES  all 1 services answer and do their work; what was written is gone\n")
    assert text.rstrip().endswith("1.0 s of 60 s; smoke/id; exit 0")
    assert "no TLS" in text


def test_read_only_says_what_it_did_not_verify() -> None:
    text = page(report(one(Outcome.PASSED), one(Outcome.SKIPPED, "test_b", "not verified: no"), read_only=True))
    assert text.startswith("YES  all 1 services answer and do their work; nothing was written\n")
    assert "not verified: no (test_b)" in text


@pytest.mark.parametrize(
    ("found", "code", "begins"),
    [
        (report(one(Outcome.FAILED, reason="lost")), 1, "NO  t.py::test_a: lost"),
        (report(one(Outcome.PASSED), not_reached=["test_b"]), 19, "NOT ALL  not reached in time: test_b"),
        (report(one(Outcome.FAILED, reason="lost"), not_reached=["test_b"]), 1, "NO  t.py::test_a: lost"),
        (report(exit=16, cause="cache: expired"), 16, "NO  cache: expired"),
        (report(), 5, "NO  no test was executed"),
    ],
)
def test_everything_else_is_no_pass(found: RunReport, code: int, begins: str) -> None:
    assert judge(found).exit_code == code
    assert page(found).startswith(begins)


def test_a_service_that_cannot_be_judged_has_its_sentence_and_the_next_step() -> None:
    service = {"error": "TargetExpired", "cause": "https://h: has expired", "next_step": "renew it"}
    text = page(report(service=service, exit=16, cause="cache: https://h: has expired"))
    assert "cache: https://h: has expired\n  -> renew it" in text
    assert "TargetExpired" in text


def test_a_service_without_a_test_is_not_judged() -> None:
    assert "not judged" in page(report(one(Outcome.SKIPPED)))


def test_not_reached_is_what_was_planned_and_has_no_outcome_or_came_too_late() -> None:
    late = one(Outcome.SKIPPED, "test_b", "not reached: the budget was spent before test_b")
    found = report(one(Outcome.PASSED), late, one(Outcome.SKIPPED, "test_c", "not verified: --read-only"))
    planned = [f"t.py::test_{name}" for name in "abcd"]
    assert not_reached(found, planned) == ["test_b", "test_d"]
    assert not_reached(found, []) == []
    assert not_reached(found, None) == ["every test"]
