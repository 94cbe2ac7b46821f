"""No fault without its controls: off, an injector that does nothing, an undo that does nothing, and the real one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.faults import FAULTS
from tests.unit.rigs.core_rig import ROOT

FILE = "tests/infrastructure/failover/test_controls.py"
CONTROLS = (
    "test_the_real_fault_is_witnessed_and_undone",
    "test_with_the_fault_off_its_witness_sees_nothing",
    "test_an_injector_that_does_nothing_is_invalid",
    "test_an_undo_that_does_nothing_discards_the_stack",
)


@pytest.fixture(scope="module")
def collected() -> set[str]:
    command = [sys.executable, "-m", "pytest", FILE, "--collect-only", "-q", "-p", "no:randomly", "--infra-slow"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line}


@pytest.mark.parametrize("control", CONTROLS)
def test_every_fault_has_the_control(collected: set[str], control: str) -> None:
    assert {f"{control}[{fault.name}]" for fault in FAULTS} <= collected


def test_there_are_no_others(collected: set[str]) -> None:
    assert len(collected) == len(CONTROLS) * len(FAULTS)
