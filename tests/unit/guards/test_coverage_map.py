"""Every guarantee names tests that exist, or says what is not yet proven; docs/coverage.md is what the map says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rigs.core_rig import ROOT
from tests.unit.rigs.scripts_rig import script

TOOL = script("coverage-map")
IDS = ["services/test_a.py::test_one", "services/test_a.py::test_two", "failover/test_b.py::test_three"]


def guarantee(name: str = "g", *tests: str, **more: Any) -> Any:
    return TOOL.Guarantee("Area", name, "What it says.", tests, **more)


def complete(*special: Any) -> tuple[Any, ...]:
    """As many as there have to be, the rest sound."""
    return (*special, *(guarantee(f"g{number}", "services/") for number in range(TOOL.EXPECTED - len(special))))


def test_every_guarantee_is_mapped_and_the_page_is_up_to_date() -> None:
    command = [sys.executable, "scripts/coverage-map", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("prefix", ["services/", "services/test_a.py", "services/test_a.py::test_t", IDS[2]])
def test_the_beginning_of_an_id_stands_for_all_that_begin_so(prefix: str) -> None:
    assert TOOL.problems(complete(guarantee("x", prefix)), IDS) == []


@pytest.mark.parametrize(
    ("special", "told"),
    [
        (guarantee("x"), "x: mapped to no test, and does not say `not_yet`"),
        (guarantee("x", "services/test_gone.py"), "x: no test begins with 'services/test_gone.py'"),
        (guarantee("g1", "services/"), "g1: named twice"),
    ],
)
def test_what_is_wrong_with_a_map_is_told(special: Any, told: str) -> None:
    assert TOOL.problems(complete(special), IDS) == [told]


def test_a_missing_guarantee_is_told() -> None:
    assert TOOL.problems(complete()[1:], IDS) == ["35 guarantees, expected 36"]


def test_what_is_not_yet_proven_is_honest_and_not_mapped() -> None:
    half = guarantee("x", "services/", not_yet="no leader is lost yet")
    assert TOOL.problems(complete(half), IDS) == []
    assert not half.mapped
    assert "35 of 36 mapped." in TOOL.page(complete(half))
    assert "`services/`<br>**not yet**: no leader is lost yet |" in TOOL.page(complete(half))


def test_a_map_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    file.write_text('[[guarantee]]\narea = "A"\nname = "n"\nsentence = "s"\ntests = ["x/"]\n')
    assert TOOL.read(file) == (TOOL.Guarantee("A", "n", "s", ("x/",)),)
