"""Past runs: kept, read, and the tests that changed their verdict without a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ReportError
from harness.model import Outcome
from harness.report import read as model
from harness.report.history import Past, flakes, keep, past_of, read


def past(number: int, revision: str = "abc", services: tuple[str, ...] = (), **outcomes: str) -> Past:
    return Past(f"r{number}", float(number), 1.0, 0, revision, services, 7, outcomes)


def test_a_report_becomes_a_past_run(tmp_path: Path) -> None:
    redis = model.ServiceReport("redis", "redis", "image", "8.6.3", "8.6.3", True)
    tests = (model.TestReport("t", "services", (), Outcome.FAILED, 0.1, "no"),)
    report = model.RunReport("r1", 7, "docker", "", 10.0, 12.0, (redis,), tests)
    made = past_of(report, "abc")
    assert made == Past("r1", 10.0, 2.0, 1, "abc", ("redis: image 8.6.3",), 7, {"t": "failed"})
    keep(made, tmp_path / "new")
    assert read(tmp_path / "new") == [made]


def test_past_runs_are_read_oldest_first(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        keep(past(number), tmp_path)
    assert [one.run for one in read(tmp_path)] == ["r1", "r2", "r3"]
    assert read(tmp_path / "none") == []


def test_a_test_that_changed_its_verdict_without_a_change_is_flaky() -> None:
    (found,) = flakes([past(1, t="passed", u="passed"), past(2, t="failed", u="passed"), past(3, t="passed")])
    assert (found.test, [outcome for _, outcome in found.runs]) == ("t", ["passed", "failed", "passed"])
    assert str(found) == "t: red in 1 of 3 runs of abc"


def test_the_most_often_red_comes_first() -> None:
    runs = [past(1, t="passed", u="passed"), past(2, t="error", u="failed"), past(3, t="passed", u="failed")]
    assert [flake.test for flake in flakes(runs)] == ["u", "t"]


@pytest.mark.parametrize(
    "second",
    [
        past(2, revision="def", t="failed"),
        past(2, services=("redis: image 9",), t="failed"),
        past(2, t="skipped"),
        past(2, t="blocked"),
    ],
)
def test_what_changed_or_did_not_run_is_not_flaky(second: Past) -> None:
    assert flakes([past(1, t="passed"), second]) == []


def test_an_unknown_revision_is_never_the_same_as_another() -> None:
    assert flakes([past(1, revision="", t="passed"), past(2, revision="", t="failed")]) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"run": "r1"}', '{"services": 7}'])
def test_a_file_that_is_no_past_run_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ReportError, match=r"x\.json: no record of a run"):
        read(tmp_path)


def test_a_history_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="choose another with --history"):
        keep(past(1), tmp_path / "file" / "below")
