"""docs/reference.md is what the code says, and names everything that a user can set, run, read or meet."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.cli.main import VERBS
from harness.config.options import OPTIONS
from harness.errors import HarnessError, all_errors
from harness.journal import EVENT_TYPES
from harness.pytest_plugin.fixtures import make_module
from harness.services import SERVICES
from tests.unit.rigs.core_rig import ROOT

PAGE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, "scripts/reference", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_is_told_with_flag_variable_and_key(option: object) -> None:
    names = (option.flag, option.variable, option.name)  # type: ignore[attr-defined]
    assert [name for name in names if f"`{name}" not in PAGE] == []


def test_every_name_has_its_line() -> None:
    fixtures = [name for name in vars(make_module()) if not name.startswith("__")]
    errors = [error.__name__ for error in all_errors() if error.__module__ == HarnessError.__module__]
    names = [*fixtures, *errors, *EVENT_TYPES, *(kind.name for kind in SERVICES)]
    assert [name for name in names if f"| `{name}` |" not in PAGE] == []
    assert [name for name, _ in VERBS if f"### `harness {name}`" not in PAGE] == []


def test_nothing_is_listed_without_a_word_about_it() -> None:
    optional = {"default", "error", "needs", "variables drawn at random"}
    for block in PAGE.split("\n\n"):
        lines = [[cell.strip() for cell in line.split(" | ")] for line in block.splitlines() if line.startswith("| ")]
        for line in lines[2:]:
            empty = {lines[0][number].strip("| ") for number, cell in enumerate(line) if not cell.strip("| ")}
            assert empty <= optional, line
