"""A night: what it insists on, when it tries again, and what it leaves however the run ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import nightly
from harness.cli.main import main
from tests.unit.rigs.core_rig import REDIS_COMPOSE, ROOT, eventually

RUN = """
import os, sys, signal, time, json, pathlib
reports = pathlib.Path(sys.argv[sys.argv.index("--reports") + 1])
with open("calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
number = len(open("calls").readlines())
def journal(*events):
    report = reports / f"r{number}"
    report.mkdir(parents=True)
    (report / "journal.jsonl").write_text("".join(json.dumps({"at": 1.0, **event}) + "\\n" for event in events))
    (reports / "latest").symlink_to(report.name)
started = {"type": "run_started", "run": f"r{number}", "services": {}, "seed": 7, "runtime": "process"}
def test(name, outcome):
    return {"type": "test_finished", "test": name, "layer": "services", "uses": [], "outcome": outcome, "seconds": 0,
            "reason": "because" if outcome != "passed" else "", "detail": ""}
"""


@pytest.fixture
def night(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Runs a night whose `harness test` is this Python; gives the exit code, nightly.json and what was printed."""
    project(state)
    monkeypatch.chdir(state)
    monkeypatch.setattr(nightly, "PAUSE", 0.0)

    def run(child: str, *words: str) -> tuple[int, dict[str, Any], str]:
        (state / "child.py").write_text(RUN + child)
        monkeypatch.setattr(nightly, "_command", lambda settings, arguments: [sys.executable, "child.py"])
        code = main(["nightly", *words])
        return code, json.loads((state / "reports/nightly/nightly.json").read_text()), capsys.readouterr().out

    return run


def project(state: Path) -> None:
    (state / "compose").mkdir()
    (state / "compose" / "stack.yml").write_text(REDIS_COMPOSE)


def calls(state: Path) -> int:
    return len((state / "calls").read_text().splitlines())


def test_an_infrastructure_that_was_not_to_be_had_is_tried_again(state: Path, night: Any) -> None:
    code, data, out = night("sys.exit(7) if number < 3 else journal(started, test('t', 'passed'))", "--retries", "2")
    assert (code, calls(state)) == (0, 3)
    assert [one["exit"] for one in data["attempts"]] == [7, 7, 0]
    assert out.count("no test ran") == 2


def test_it_gives_up_after_the_last_try(state: Path, night: Any) -> None:
    code, data, _ = night("print('harness: no engine'); sys.exit(7)", "--retries", "1")
    assert (code, calls(state), data["cause"]) == (7, 2, "no engine")


@pytest.mark.parametrize(
    "child",
    [
        "journal(started, test('t', 'failed')); sys.exit(1)",
        "journal(started, test('t', 'passed')); sys.exit(7)",
        "journal(started); sys.exit(4)",
    ],
    ids=["a red test", "an engine lost under way", "a service that did not come up"],
)
def test_nothing_else_is_tried_again(state: Path, night: Any, child: str) -> None:
    code, _, _ = night(child, "--retries", "5")
    assert (code != 0, calls(state)) == (True, 1)


def test_a_killed_run_still_leaves_a_report_and_is_red(state: Path, night: Any) -> None:
    code, data, out = night("journal(started, test('t', 'passed')); os.kill(os.getpid(), signal.SIGKILL)")
    assert code == 1
    report = state / "reports" / "nightly" / data["report"]
    assert json.loads((report / "summary.json").read_text())["counts"]["passed"] == 1
    assert (report / "junit.xml").exists()
    assert data["cause"] == "harness test ended before it was done: killed by SIGKILL"
    assert "# Nightly: RED (exit 1)" in out


def test_a_run_that_was_killed_before_its_journal_is_red(night: Any) -> None:
    code, data, _ = night("os.kill(os.getpid(), signal.SIGKILL)")
    assert code != 0
    assert data["cause"]


def test_a_test_that_changes_its_verdict_is_told(state: Path, night: Any) -> None:
    for words in (("init",), ("-c", "user.name=n", "-c", "user.email=e@x", "commit", "--allow-empty", "-m", "x")):
        subprocess.run(["git", *words], cwd=state, check=True, capture_output=True)
    night("journal(started, test('t', 'passed'), test('u', 'passed'))")
    code, data, out = night("journal(started, test('t', 'failed'), test('u', 'passed')); sys.exit(1)")
    assert code == 1
    assert [flake["test"] for flake in data["flakes"]] == ["t"]
    assert "## Changed their verdict without a change\n\n- t: red in 1 of 2 runs" in out
    assert main(["history"]) == 0


def test_history_is_shown_as_table_and_as_json(night: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history"]) == 0
    assert "no past run in" in capsys.readouterr().out
    night("journal(started, test('t', 'passed'))")
    assert main(["history", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert ([one["outcomes"] for one in told["runs"]], told["flakes"]) == ([{"t": "passed"}], [])
    assert main(["history"]) == 0
    assert "no test changed its verdict" in capsys.readouterr().out


def test_the_console_is_kept(state: Path, night: Any) -> None:
    night("print('what was said'); journal(started, test('t', 'passed'))")
    assert "what was said" in (state / "reports/nightly/console-1.log").read_text()


def test_the_series_of_a_soak_is_judged_on_the_page(night: Any) -> None:
    line = json.dumps({"at": 0, "rounds": 1, "usage": {"redis": {"processes": 1, "memory": 1 << 20, "handles": 3}}})
    _, data, out = night(
        "journal(started, test('t', 'passed'))\n"
        f"(reports / 'latest' / 'soak.jsonl').write_text({line!r} + '\\n' + ({line!r} + '\\n') * 20 + '{{\"cut')"
    )
    assert data["growth"][0] == "redis: memory steady: 1.0 to 1.0 MiB"
    assert "## Soak" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--runtime", "process"], "needs the docker runtime, found process (--runtime)"),
        (["--runtime", "external", "--may-emulate", "all"], "needs the docker runtime, found external"),
        (["--may-emulate", "mongodb"], "--may-emulate mongodb: no such service or kind"),
        (["--retries", "some"], "expected a whole number"),
    ],
)
def test_what_a_night_refuses(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    project(state)
    monkeypatch.chdir(state)
    assert main(["nightly", *words]) == 2
    assert told in capsys.readouterr().err
    assert not (state / "reports").exists()


@pytest.mark.parametrize(
    ("words", "has", "lacks"),
    [
        ([], ["--runtime docker", "--slow", "--soak 600", "--require-fidelity real", "-prandomly"], []),
        (["--may-emulate", "redis"], ["--runtime docker"], ["--require-fidelity"]),
        (["--runtime", "process", "--may-emulate", "all"], ["--runtime process"], ["--require-fidelity"]),
        (["--soak", "2m", "--seed", "5"], ["--soak 120", "--seed 5 ", "--randomly-seed=5"], []),
        (["--no-gate", "--compose", "a.yml", "--compose", "b.yml"], ["--compose a.yml --compose b.yml --no-gate"], []),
    ],
)
def test_what_a_night_asks_of_the_run(
    state: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], has: list[str], lacks: list[str]
) -> None:
    project(state)
    for name in ("a.yml", "b.yml"):
        (state / name).write_text(REDIS_COMPOSE)
    monkeypatch.chdir(state)
    seen: list[str] = []

    def attempt(command: list[str], directory: Path, number: int) -> Any:
        seen.append(" ".join(command) + " ")
        raise KeyboardInterrupt

    monkeypatch.setattr(nightly, "_attempt", attempt)
    assert main(["nightly", *words]) == 130
    assert [text for text in has if text not in seen[0]] == []
    assert [text for text in lacks if text in seen[0]] == []


def test_a_night_that_is_ended_ends_its_run_and_reports(state: Path) -> None:
    project(state)
    (state / "child.py").write_text(
        RUN + "journal(started, test('t', 'passed'))\nsignal.signal(15, lambda *_: sys.exit(130))\ntime.sleep(60)"
    )
    text = (
        "import sys; from harness.cli import nightly; from harness.cli.main import main\n"
        "nightly._command = lambda settings, arguments: [sys.executable, 'child.py']\n"
        "sys.exit(main(['nightly']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", text], cwd=state, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=-3
    )
    eventually((state / "reports/nightly/attempt-1/latest").exists, 30)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    data = json.loads((state / "reports/nightly/nightly.json").read_text())
    assert data["exit_code"] == 130
