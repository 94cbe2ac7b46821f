"""`harness up`: the stack outlives the command, unless it was given an owner; then it ends with that one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.keeper.rundir import RunDir
from tests.unit.rigs.core_rig import REDIS_COMPOSE, eventually, needs_redis


@needs_redis
def test_a_stack_with_an_owner_ends_when_that_is_killed(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "one.yml").write_text(REDIS_COMPOSE)
    monkeypatch.chdir(state)
    common = ["--runtime", "process", "--reports", "r", "--state", str(state / "s")]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        assert main(["up", "--compose", "one.yml", "--owner", str(owner.pid), *common]) == 0
        (run,) = map(RunDir, (state / "s").iterdir())
        keeper = run.keeper()
        assert keeper
        assert keeper.alive
        owner.kill()
        eventually(lambda: not keeper.alive and not run.path.exists())
