"""From a journal to a verdict, and from there to every report."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness import journal
from harness.journal import Event
from harness.model import Outcome
from harness.report import console as consoles
from harness.report import junit, summary, terminal
from harness.report.read import RunReport, summarise
from harness.report.verdict import judge
from tests.unit.rigs.report_rig import ended, experiment, started


def ready(name: str, source: str = "binary", version: str = "1.0", pin: str = "1.0", **more: Any) -> Event:
    fidelity = {"source": source, "version": version, "pin": pin, "emulator_unproven": more.pop("unproven", False)}
    data = {"service": name, "kind": "redis", "fidelity": fidelity, "seconds": 0.5, **more}
    return Event(journal.SERVICE_FAILED if "cause" in more else journal.SERVICE_READY, 101.0, data)


def layer(name: str) -> Event:
    return Event(journal.LAYER_STARTED, 101.5, {"name": name})


def problem(text: str) -> Event:
    return Event(journal.SESSION_ERROR, 103.0, {"detail": text})


LOST = Event(journal.ENGINE_LOST, 103.5, {"detail": "docker engine at ssh://h: the ssh connection was lost: x"})
LEFT = Event(journal.LEFT_BEHIND, 104.0, {"what": ["process 1", "/x"]})
BROKEN = ready("redis", cause="exited with code 1\n  log", state="failed")
BLOCKED = ready("b", cause="needs redis", state="blocked")


@pytest.mark.parametrize(
    ("events", "code", "cause"),
    [
        ([ended("a")], 0, ""),
        ([ended("a"), ended("b", "failed", reason="no")], 1, "tests/services/test_redis.py::b: no"),
        ([ended("a"), ended("b", "error", reason="no")], 1, "tests/services/test_redis.py::b: no"),
        ([ended("a"), problem("pytest ended")], 1, "pytest ended"),
        ([BROKEN, ended("a", "failed")], 4, "redis did not become ready: exited with code 1\n  log"),
        ([BLOCKED, ended("a")], 0, ""),
        ([ended("a"), LEFT], 9, "left behind: process 1, /x"),
        ([ended("b", "failed", reason="no"), LEFT], 1, "tests/services/test_redis.py::b: no"),
        ([BROKEN, ended("b", "failed"), LOST, LEFT], 7, "docker engine at ssh://h: the ssh connection was lost: x"),
        ([], 5, "no test was executed (0 skipped or blocked)"),
        ([ended("a", "skipped"), ended("b", "blocked")], 5, "no test was executed (2 skipped or blocked)"),
    ],
)
def test_the_worst_decides(events: list[Event], code: int, cause: str) -> None:
    verdict = judge(summarise([started("redis", "b"), *events]))
    assert (verdict.exit_code, verdict.cause) == (code, cause)


def test_the_last_outcome_of_a_test_counts_and_services_keep_their_order() -> None:
    report = summarise(
        [
            started("b", "a"),
            ready("a"),
            ready("b", "emulator"),
            layer("services"),
            ended("x", "failed"),
            layer("later"),
            layer("services"),
            ended("y"),
            ended("x"),
        ]
    )
    assert [service.name for service in report.services] == ["b", "a"]
    assert [(item.id[-1], item.outcome) for item in report.tests] == [("x", Outcome.PASSED), ("y", Outcome.PASSED)]
    assert (report.layers, report.emulated, report.executed) == (("services", "later"), ("b",), 2)
    assert (report.run, report.seed, report.started, report.finished) == ("r1", 7, 100, 102)


def test_a_run_killed_before_it_began_is_an_empty_report() -> None:
    report = summarise([])
    assert (report.run, report.tests, judge(report).exit_code) == ("", (), 5)


FULL = summarise(
    [
        started("redis", "tempo", "down", "late"),
        ready("redis", version="9.0", pin="8.0"),
        ready("tempo", "emulator", "3+emu"),
        ready("down", cause="exited [3]", state="failed"),
        ready("late", cause="needs down", state="blocked"),
        layer("services"),
        layer("integration"),
        ended("test_a"),
        ended("test_b", "failed", reason="assert [red] == 2"),
        ended("test_c", "skipped", reason="later"),
        ended("test_d", "skipped", reason="later"),
        ended("test_e", "blocked", "integration", "blocked by redis", ["redis", "tempo"]),
        ended("test_f", "error", "integration", "at the end"),
    ]
)


def test_the_summary_counts_and_says_what_was_not_verified(tmp_path: Path) -> None:
    path = summary.write(FULL, tmp_path)
    found = json.loads(path.read_text())
    assert found["counts"] == {"total": 6, "passed": 1, "failed": 1, "error": 1, "skipped": 2, "blocked": 1}
    assert found["layers"]["integration"] == {"passed": 0, "failed": 0, "error": 1, "skipped": 0, "blocked": 1}
    assert found["services"]["tempo"]["tests"]["blocked"] == 1
    assert (found["services"]["redis"]["verified"], found["services"]["tempo"]["verified"]) == (True, False)
    assert (found["exit_code"], found["cause"]) == (4, "down did not become ready: exited [3]")
    assert found["not_verified"][0] == "tempo: an emulator answered, not the real service"
    assert len(found["not_verified"]) == 4


def render(report: RunReport, **more: Any) -> str:
    out = io.StringIO()
    terminal.render(report, Console(file=out, width=200, highlight=False, **more))
    return out.getvalue()


def test_the_terminal_tells_the_cause_first_and_each_reason_once() -> None:
    out = render(FULL, force_terminal=False)
    assert out.startswith("CAUSE  down did not become ready: exited [3]\n")
    lines = {line.split()[0]: line for line in out.splitlines() if line.split()}
    assert lines["redis"].split()[:3] == ["redis", "0", "1"], "the row of the last layer, whose subject it is"
    assert "test_b: assert [red] == 2; later (2)" in out
    assert "FAILED" in lines["down"]
    assert "blocked" in lines["late"]
    assert "Not verified: tempo: an emulator answered, not the real service." in out
    assert "Not verified: redis: version 9.0 answered, the pin is 8.0" in out
    assert out.endswith("1 passed, 2 failed, 1 blocked, 2 skipped in 2.0 s; seed 7; exit 4\n")
    assert "\x1b" not in out


def test_the_terminal_has_colour_only_where_it_may() -> None:
    assert "\x1b[1;31mCAUSE" in render(FULL, force_terminal=True, color_system="standard")
    green = summarise([started("redis"), ready("redis"), ended("test_a", layer="tests")])
    out = render(green, force_terminal=False)
    assert "CAUSE" not in out
    assert "Layer: tests" in out
    assert "exit 0" in out


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "styled", "coloured"),
    [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"CI": "1"}, False, False)],
)
def test_colour_follows_terminal_no_color_and_ci(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], styled: bool, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = Terminal()
    made = consoles.make_console(stream)
    made.print("[bold red]x[/]")
    assert made.is_terminal is styled
    assert ("\x1b[" in stream.getvalue(), "31m" in stream.getvalue()) == (styled, coloured)


def test_a_pipe_gets_wide_plain_text() -> None:
    stream = io.StringIO()
    made = consoles.make_console(stream)
    made.print("[red]" + "x" * 150)
    assert stream.getvalue() == "x" * 150 + "\n"


def test_the_first_line_says_what_is_emulated() -> None:
    assert terminal.fidelity_line([], 2, "docker", "auto") == "REAL: all 2 services are real; runtime docker (auto)"
    line = terminal.fidelity_line(["a", "b"], 6, "process", "asked")
    assert line == "EMULATED: 2 of 6 services not verified (a, b); runtime process (asked)"


def test_junit_has_a_suite_per_layer_and_blocked_as_skipped(tmp_path: Path) -> None:
    root = ET.parse(junit.write(FULL, tmp_path)).getroot()
    suites = {suite.get("name"): suite for suite in root}
    assert root.get("tests") == "6"
    first, second = suites["services"], suites["integration"]
    counts = ("tests", "failures", "errors", "skipped")
    assert [first.get(name) for name in counts] == ["4", "1", "0", "2"]
    assert [second.get(name) for name in counts] == ["2", "0", "1", "1"]
    case = next(case for case in first.iter("testcase") if case.get("name") == "test_b")
    assert case.get("classname") == "tests.services.test_redis"
    failure = case.find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == ("assert [red] == 2", "detail of assert [red] == 2")
    assert first.find("properties/property[@name='service.tempo']").get("value") == "emulator 3+emu"  # type: ignore[union-attr]


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["failed", "error", "skipped", "blocked"]))
def test_junit_is_well_formed_whatever_a_test_or_service_says(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str, outcome: str
) -> None:
    event = ended(name, outcome, reason=f"\x00\x1b{text}\ud800\ufffe")
    report = summarise([started("redis"), ready("redis", version=f"\x07{text}"), event])
    root = ET.parse(junit.write(report, tmp_path_factory.mktemp("j"))).getroot()
    assert len(list(root.iter("testcase"))) == 1


NEVER_MET = summarise(
    [
        started("redis", "tempo", "graph", "site"),
        ready("redis"),
        ready("tempo", "emulator", "3+emu"),
        ready("graph", "emulator", "4+emu", unproven=True),
        ready("site", "image", "5", "5", unproven=True),
        ended("test_a"),
    ]
)


def test_an_emulator_that_never_met_its_server_is_named_in_every_report(tmp_path: Path) -> None:
    said = json.loads(summary.write(NEVER_MET, tmp_path).read_text())
    assert (said["emulated"], said["unproven"]) == (["tempo", "graph"], ["graph"])
    assert {name for name, one in said["services"].items() if one["unproven"]} == {"graph"}
    assert said["not_verified"] == [
        "tempo: an emulator answered, not the real service",
        "graph: an emulator answered, not the real service; it is unproven against a real server",
    ]
    assert "Unproven against a real server: graph\n" in render(NEVER_MET, force_terminal=False)
    suite = ET.parse(junit.write(NEVER_MET, tmp_path)).getroot()[0]
    told = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert told["service.graph"] == "emulator 4+emu, unproven against a real server"
    assert (told["service.tempo"], told["service.site"]) == ("emulator 3+emu", "image 5")


def test_the_first_line_names_what_never_met_its_server() -> None:
    line = terminal.fidelity_line(["a", "b"], 6, "process", "asked", ["b"])
    assert line == (
        "EMULATED: 2 of 6 services not verified (a, b; unproven against a real server: b); runtime process (asked)"
    )


MEASURED = summarise(
    [
        started("redis"),
        ended("test_a", layer="failover"),
        ended("test_b", "failed", layer="failover", reason="red"),
        ended("test_c", properties={"p50_ms": 1.5, "p99_ms": 9.0}),
        experiment("redis-killed"),
        experiment("no-apply-kill", verdict="invalid"),
        experiment("redis-lost", "test_b", "invalid", cause="set-full: invalid: 3 [lost]"),
        experiment("redis-cut-off", "test_never_ended"),
    ]
)


def test_what_tests_recorded_is_in_every_report(tmp_path: Path) -> None:
    recorded = {"tests/services/test_redis.py::test_c": {"p50_ms": 1.5, "p99_ms": 9.0}}
    assert summary.as_data(MEASURED)["measured"] == recorded
    assert "Measured: test_c: p50_ms 1.5, p99_ms 9.0" in render(MEASURED)
    root = ET.parse(junit.write(MEASURED, tmp_path)).getroot()
    case = next(case for case in root.iter("testcase") if case.get("name") == "test_c")
    assert {one.get("name"): one.get("value") for one in case.iter("property")} == {"p50_ms": "1.5", "p99_ms": "9.0"}


def test_the_terminal_has_a_line_per_experiment_and_its_test_says_whether_it_is_as_it_must_be() -> None:
    lines = {line.split()[0]: line.split() for line in render(MEASURED).splitlines() if line.split()}
    assert lines["redis-killed"] == ["redis-killed", "valid", "2.25", "0.00", "2.00", "3", "passed"]
    assert lines["no-apply-kill"][1:] == ["invalid", "2.25", "0.00", "2.00", "3", "passed"]
    assert " ".join(lines["redis-lost"][6:]) == "failed completed: set-full: invalid: 3 [lost]"
    assert " ".join(lines["redis-cut-off"][6:8]) == "never ended"


def test_the_summary_has_the_series_of_every_experiment_in_columns() -> None:
    found = summary.as_data(MEASURED)["experiments"]
    assert [one["name"] for one in found] == ["redis-killed", "no-apply-kill", "redis-lost", "redis-cut-off"]
    assert found[0]["series"] == {
        "at": [0.5, 1.0, 3.25],
        "ok": [80.0, 0.0, 60.0],
        "errors": [0.0, 40.0, 4.0],
        "p95_ms": [2.0, 0.0, 9.0],
    }
    assert found[0]["fault_window"] == (1.0, 3.5)
    assert found[0]["changes"][-1] == {"at": 3.1, "role": "primary", "seen_by": "s2", "before": "a", "after": "b"}
    assert [one["outcome"] for one in found] == ["passed", "passed", "failed", None]
    assert json.dumps(found)
