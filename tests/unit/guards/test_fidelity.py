"""The list of differences is compared strictly: an unlisted one, a stale line and a red test are all told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.services import SERVICES
from tests.unit.rigs.core_rig import ROOT
from tests.unit.rigs.scripts_rig import script

TOOL = script("fidelity")
HEAD = "# Page\n\n| " + " | ".join(TOOL.COLUMNS) + " |\n|---|---|---|---|---|---|\n"
LINE = TOOL.Listed("consul", "1.8.7", "services/test_a.py::test_b[x|y]", "skipped", "passed", "it has no x")


def pair(real: str = "1.8.7", **ends: tuple[str, str]) -> Any:
    return TOOL.Pair("consul", "1.22+emu", real, {f"services/test_a.py::{name}": both for name, both in ends.items()})


def listed(test: str, emulator: str = "skipped", real: str = "passed", version: str = "1.8.7") -> Any:
    return TOOL.Listed("consul", version, f"services/test_a.py::{test}", emulator, real, "a reason")


def test_a_line_is_read_from_the_page() -> None:
    row = "| consul | 1.8.7 | `services/test_a.py::test_b[x\\|y]` | skipped | passed | it has no x |\n"
    assert TOOL.read_list(HEAD + row) == (LINE,)
    assert TOOL.read_list(HEAD) == ()


@pytest.mark.parametrize("row", ["| consul | 1.8.7 | `a` | skipped | passed |  |", "| consul | 1.8.7 | `a` |"])
def test_a_line_without_a_reason_is_refused(row: str) -> None:
    with pytest.raises(ValueError, match="expected 6 filled columns"):
        TOOL.read_list(HEAD + row + "\n")


def test_the_projects_own_list_reads_and_names_kinds_that_exist() -> None:
    lines = TOOL.read_list(TOOL.PAGE.read_text(encoding="utf-8"))
    assert {line.kind for line in lines} <= {kind.name for kind in SERVICES}
    for line in lines:
        file = ROOT / "tests/infrastructure" / line.test.partition("::")[0]
        name = line.test.partition("::")[2].partition("[")[0]
        assert f"def {name}(" in file.read_text(encoding="utf-8"), line
        assert line.emulator_outcome != line.real_outcome, line


def test_equal_outcomes_are_no_difference() -> None:
    assert TOOL.judge([pair(one=("passed", "passed"), two=("skipped", "skipped"))], ()) == []


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        (("passed", "failed"), "one: passed on the emulator, failed on the real server: not in fidelity.md"),
        (("passed", "absent"), "one: passed on the emulator, absent on the real server: not in fidelity.md"),
        (("error", "error"), "one: red on the emulator and on the real server"),
    ],
)
def test_what_is_unlisted_or_red_is_told(ends: tuple[str, str], told: str) -> None:
    assert TOOL.judge([pair(one=ends)], ()) == [f"consul 1.8.7: services/test_a.py::{told}"]


def test_a_listed_difference_is_allowed_as_it_is_listed() -> None:
    found = pair(one=("skipped", "passed"))
    assert TOOL.judge([found], [listed("one")]) == []
    assert len(TOOL.judge([found], [listed("one", "passed", "failed")])) == 2, "another difference, and a stale line"


def test_a_line_whose_difference_is_gone_is_stale() -> None:
    found = pair(one=("passed", "passed"))
    where = "consul 1.8.7: services/test_a.py::"
    assert TOOL.judge([found], [listed("one")]) == [
        f"{where}one: fidelity.md says skipped and passed, it was passed and passed"
    ]
    assert TOOL.judge([found], [listed("gone")]) == [f"{where}gone: in fidelity.md, and no such test ran"]


def test_a_line_counts_against_its_own_version_only() -> None:
    assert TOOL.judge([pair(one=("passed", "passed"))], [listed("one", version="1.22.0")]) == []
    assert len(TOOL.judge([pair("1.22.0", one=("skipped", "passed"))], [listed("one")])) == 1


@pytest.mark.parametrize(("ends", "code"), [(["passed", "passed"], 0), (["passed", "failed"], 1)])
def test_a_result_file_is_judged_by_exit_code(tmp_path: Path, ends: list[str], code: int) -> None:
    kinds = {"consul": {"emulator": "1", "real": "0.0.0", "tests": {"services/test_a.py::test_b": ends}}}
    (tmp_path / "result.json").write_text(json.dumps({"kinds": kinds}))
    command = [sys.executable, "scripts/fidelity", str(tmp_path / "result.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, f"{code} unlisted or stale differences in consul" in done.stdout) == (code, True)
