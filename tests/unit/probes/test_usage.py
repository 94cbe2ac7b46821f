"""What processes use, read from /proc of real ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.probes import usage
from harness.probes.usage import belongs_to, family, usage_of

GREEDY = """
import subprocess, sys, tempfile
memory = bytearray(64 << 20)
memory[::4096] = b"x" * len(memory[::4096])
files = [tempfile.TemporaryFile() for _ in range(40)]
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
sys.stdin.read()
child.kill()
"""


@pytest.fixture
def greedy() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds 64 MiB and 40 files, and the child that it has."""
    process = subprocess.Popen([sys.executable, "-c", GREEDY], stdin=-1, stdout=-1, text=True)
    assert process.stdout
    yield process, int(process.stdout.readline())
    process.communicate("", timeout=10)


def test_memory_handles_and_descendants_are_seen(greedy: tuple[subprocess.Popen[str], int]) -> None:
    process, child = greedy
    assert family(process.pid) == (process.pid, child)
    alone, both = usage_of([process.pid]), usage_of(family(process.pid))
    assert alone
    assert both
    assert alone.memory >= 64 << 20
    assert alone.handles is not None
    assert 40 <= alone.handles < 60
    assert both.processes == 2
    assert both.memory > alone.memory


def test_what_is_gone_has_nothing() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait(10)
    assert family(gone.pid) == ()
    assert usage_of([gone.pid]) is None


def test_handles_that_nobody_shows_us_are_unknown_not_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "statm").write_text("900 100 0 0 0 0 0\n")
    monkeypatch.setattr(usage, "PROC", tmp_path)

    def refuse(pid: int) -> None:
        return None

    monkeypatch.setattr(usage, "_handles", refuse)
    assert usage_of([7]) == usage.Usage(1, 100 * usage.PAGE, None)


def test_a_number_told_by_an_engine_elsewhere_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text("4:memory:/docker/0a1b2c\n")
    monkeypatch.setattr(usage, "PROC", tmp_path)
    assert belongs_to(7, "0a1b2c")
    assert not belongs_to(7, "ffffff")
    assert not belongs_to(8, "0a1b2c")
    assert not belongs_to(7, "")
