"""One report of several engines: which stack ran where, what each saw, in what they differ."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import journal
from harness.journal import Event
from harness.report import junit, page, summary, terminal
from harness.report.engines import EngineReport, differences
from harness.report.read import RunReport, summarise
from harness.report.verdict import judge
from tests.unit.rigs.report_rig import ended, started

A, B = "unix:///a.sock", "tcp://127.0.0.1:2375"
OTHER = {"version": "27.1.1", "os": "Alpine"}


def began(address: str, stack: str, **more: str) -> Event:
    event = started("redis")
    event = replace(event, data={**event.data, "run": stack})
    engine = {"address": address, "stack": stack, "version": "20.10.24", "api": "1.41", "os": "Debian",
              "architecture": "x86_64", **more}  # fmt: skip
    return replace(event, data={**event.data, "engine": engine})


def ready(engine: str, version: str = "1.0", source: str = "image", cause: str = "") -> Event:
    fidelity = {"source": source, "version": version, "pin": "1.0"}
    data: dict[str, Any] = {"service": "redis", "kind": "redis", "fidelity": fidelity, "engine": engine}
    if cause:
        return Event(journal.SERVICE_FAILED, 101.0, {**data, "cause": cause, "state": "failed"})
    return Event(journal.SERVICE_READY, 101.0, {**data, "seconds": 0.5})


def on(engine: str, name: str, outcome: str = "passed") -> Event:
    event = ended(name, outcome)
    return replace(event, data={**event.data, "engine": engine})


def report_of(*more: Event, second: dict[str, str] | None = None) -> RunReport:
    return summarise([began(A, "r"), began(B, "r-e1", **(second or {})), *more])


GREEN = (ready(A), ready(B), on(A, "a"), on(B, "b"), on(B, "c"))


def shown(report: RunReport) -> str:
    out = io.StringIO()
    terminal.render(report, Console(file=out, width=200))
    return out.getvalue()


def test_each_engine_has_its_stack_and_its_tests() -> None:
    report = report_of(*GREEN)
    assert [(one.address, one.stack, one.tests) for one in report.engines] == [(A, "r", 1), (B, "r-e1", 2)]
    assert [service.place for service in report.services] == [f"redis on {A}", f"redis on {B}"]
    assert (report.names, judge(report).exit_code) == (("redis",), 0)
    assert f"engine {B}: docker 20.10.24 (API 1.41, Debian, x86_64); stack r-e1; 2 tests" in shown(report)
    assert "different" not in shown(report)


def test_engines_keep_the_order_in_which_they_were_named_whichever_was_first() -> None:
    """More than ten of them too; and the run has the id of the first one's stack."""
    ids = ["r", *(f"r-e{number}" for number in range(1, 12))]
    report = summarise([*(began(f"tcp://{one}", one) for one in reversed(ids)), ready("tcp://r-e2"), ready("tcp://r")])
    assert [one.stack for one in report.engines] == ids
    assert report.run == "r"
    assert [one.engine for one in report.services] == ["tcp://r", "tcp://r-e2"]


def test_a_service_that_is_not_ready_on_one_engine_is_told_with_it_and_decides() -> None:
    report = report_of(ready(A), ready(B, cause="exited with code 1"), on(A, "a"), on(B, "b", "blocked"))
    assert judge(report).exit_code == 4
    assert judge(report).cause == f"redis on {B} did not become ready: exited with code 1"
    data = summary.as_data(report)
    assert data["services"]["redis"]["ready"] is False
    assert [one["services"]["redis"]["ready"] for one in data["engines"]] == [True, False]
    assert [one["services"]["redis"]["tests"]["passed"] for one in data["engines"]] == [1, 0]


@pytest.mark.parametrize(
    ("events", "second", "told"),
    [
        (GREEN, OTHER, [f"engines differ: docker 20.10.24 on {A}; docker 27.1.1 on {B}",
                        f"platforms differ: Debian, x86_64 on {A}; Alpine, x86_64 on {B}"]),
        ((ready(A), ready(B, "2.0")), None, [f"redis differ: image 1.0 on {A}; image 2.0 on {B}"]),
        ((ready(A), ready(B, source="emulator")), None, [f"redis differ: image 1.0 on {A}; emulator 1.0 on {B}"]),
        ((ready(A), ready(B, "2.0", cause="no")), None, []),
        (GREEN, None, []),
    ],
)  # fmt: skip
def test_what_differs_between_engines_is_told(
    events: tuple[Event, ...], second: dict[str, str] | None, told: list[str]
) -> None:
    report = report_of(*events, second=second)
    assert differences(report.engines, report.services) == told
    assert summary.as_data(report)["different"] == told
    assert all(text in shown(report) and text in page.render(report) for text in told)


def test_an_emulator_on_one_engine_counts_once() -> None:
    report = report_of(ready(A), ready(B, source="emulator"))
    assert report.emulated == ("redis",)
    assert "EMULATED: 1 of 1 services" in page.render(report)


def test_files_for_others_name_the_engine(tmp_path: Path) -> None:
    report = report_of(*GREEN)
    assert f'name="service.redis on {B}"' in junit.write(report, tmp_path).read_text()
    assert f"<td>{B}</td>" in page.render(report)
    assert json.loads(summary.write(report, tmp_path).read_text())["engines"][1]["stack"] == "r-e1"


def test_a_run_without_named_engines_tells_of_none() -> None:
    report = summarise([started("redis"), ended("a")])
    assert report.engines == ()
    assert "engines" not in summary.as_data(report)
    assert "Engines" not in page.render(report)


def test_an_engine_before_its_run_has_begun() -> None:
    told = {"address": A, "version": "1", "api": "2", "os": "o", "architecture": "arm64"}
    assert str(EngineReport.of(told, "r")) == f"engine {A}: docker 1 (API 2, o, arm64); stack r"
