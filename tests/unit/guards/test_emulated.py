"""Every operation of an emulator has a test of the tree that asks for it; docs/emulated.md is what the tables say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.journal import TEST_FINISHED, Journal
from tests.unit.rigs.core_rig import ROOT
from tests.unit.rigs.scripts_rig import script

TOOL = script("emulated")
KNOWN = {"consul": ["GET /a", "PUT /a"]}
CALLERS = {"consul": {"GET /a": "services/test_consul_x.py::test_a", "PUT /a": "services/test_consul_x.py::test_a"}}
TESTS = {"services/test_consul_x.py::test_a"}


def test_every_operation_is_asked_for_and_the_page_is_up_to_date() -> None:
    command = [sys.executable, "scripts/emulated", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_emulator_has_operations() -> None:
    found = TOOL.operations()
    folders = {path.parent.name for path in (ROOT / "harness/emulators").glob("*/__main__.py")}
    assert found.keys() == folders - {"redis"}, "Redis' stand-in is fakeredis, whose tables are not ours"
    assert all(len(names) > 10 for names in found.values()), {kind: len(names) for kind, names in found.items()}


def test_what_is_wrong_is_told() -> None:
    assert TOOL.problems(KNOWN, CALLERS, TESTS) == []
    assert TOOL.problems({"consul": [*KNOWN["consul"], "GET /b"]}, CALLERS, TESTS) == [
        "consul: GET /b: no test asks for it: give it one, or delete it"
    ]
    assert TOOL.problems({"consul": ["GET /a"]}, CALLERS, TESTS) == [
        "consul: PUT /a: emulated.json has it, the emulator has not"
    ]
    assert len(TOOL.problems(KNOWN, CALLERS, set())) == 2


def test_what_is_no_more_is_forgotten() -> None:
    assert TOOL.pruned({"consul": ["PUT /a", "GET /new"]}, CALLERS) == {
        "consul": {"PUT /a": CALLERS["consul"]["PUT /a"]}
    }


def test_a_pipe_does_not_break_the_table() -> None:
    assert "| `GET /a\\|b` | `x` |" in TOOL.page({"consul": ["GET /a|b"]}, {"consul": {"GET /a|b": "x"}})


def test_the_time_tells_which_test_asked() -> None:
    windows = [TOOL.Window("integration/a", 1.0, 2.0), TOOL.Window("services/test_consul_b", 3.0, 4.0)]
    asked = ["0.5 GET /a", "1.5 PUT /a", "3.5 PUT /a", "1.5 GET /gone"]
    assert TOOL.join("consul", KNOWN["consul"], asked, windows, {}) == {"PUT /a": "services/test_consul_b"}


def test_a_caller_stays_while_it_still_asks() -> None:
    windows = [TOOL.Window("services/test_consul_a", 1.0, 2.0), TOOL.Window("services/test_consul_b", 3.0, 4.0)]
    before = {"consul": {"GET /a": "services/test_consul_b", "PUT /a": "services/test_consul_z"}}
    asked = ["1.5 GET /a", "3.5 GET /a"]
    assert TOOL.join("consul", KNOWN["consul"], asked, windows, before) == before["consul"], "z did not run"
    ran = [*windows, TOOL.Window("services/test_consul_z", 5.0, 6.0)]
    assert TOOL.join("consul", KNOWN["consul"], asked, ran, before) == {"GET /a": "services/test_consul_b"}


def test_only_tests_that_passed_have_a_window(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    written = Journal(file, clock=lambda: 100.0)
    for name, outcome in (("test_a[x]", "passed"), ("test_b", "failed")):
        test = f"tests/infrastructure/services/test_c.py::{name}"
        written.write(TEST_FINISHED, test=test, outcome=outcome, seconds=2.0)
    assert TOOL.read_windows(file) == [TOOL.Window("services/test_c.py::test_a", 98.0, 100.0)]
