"""Identities: a number that was given again is somebody else."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from harness.identity import Identity
from tests.unit.rigs.core_rig import eventually


def test_a_living_process_is_itself() -> None:
    mine = Identity.mine()
    assert mine == Identity.of(os.getpid())
    assert (mine.alive, mine.here, mine.foreign) == (True, True, False)
    assert Identity.from_json(mine.to_json()) == mine


def test_the_same_number_with_another_start_is_somebody_else() -> None:
    assert not replace(Identity.mine(), started=1).alive


def test_another_boot_means_nothing_here_and_is_not_foreign() -> None:
    other = replace(Identity.mine(), boot="another")
    assert (other.alive, other.here, other.foreign) == (False, False, False)


def test_another_container_of_this_host_is_foreign() -> None:
    other = replace(Identity.mine(), namespace="pid:[1]")
    assert (other.alive, other.here, other.foreign) == (False, False, True)


def test_the_dead_and_zombies_are_nobody() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    living = Identity.of(process.pid)
    assert living
    assert living.alive
    process.kill()
    eventually(lambda: not living.alive)  # not waited for: a zombie
    process.communicate()
    assert Identity.of(process.pid) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": 1}', "3"])
def test_what_is_no_identity(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Identity.from_json(text)


def test_without_proc_there_are_no_identities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.identity._start_ticks", lambda pid: None)
    with pytest.raises(OSError, match="/proc is not mounted"):
        Identity.mine()
