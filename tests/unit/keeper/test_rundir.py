"""Run directories: short, private, and swept when their keeper is dead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.identity import Identity
from harness.keeper import rundir
from harness.keeper.rundir import RunDir
from harness.runtimes.ssh.place import Note, new_place


def made(state: Path, name: str, keeper: Identity | str | None = None, age: float = 0.0) -> RunDir:
    run = RunDir(state / name)
    run.path.mkdir()
    if keeper is not None:
        run.owner.write_text(keeper if isinstance(keeper, str) else keeper.to_json())
    os.utime(run.path, (time.time() - age, time.time() - age))
    return run


DEAD = replace(Identity.mine(), started=1)
FOREIGN = replace(Identity.mine(), namespace="pid:[1]")
BOOT = replace(Identity.mine(), boot="another")


@pytest.mark.parametrize(
    ("keeper", "age", "swept"),
    [
        (DEAD, 0, True),
        (BOOT, 0, True),
        (Identity.mine(), 9999, False),
        (FOREIGN, 9999, False),
        (None, 0, False),
        (None, 60, True),
        ("{not json", 60, True),
        ("{not json", 0, False),
    ],
)
def test_only_what_the_dead_left_is_swept(state: Path, keeper: Identity | str | None, age: float, swept: bool) -> None:
    run = made(state, "r", keeper, age)
    assert rundir.sweep(state) == (["r"] if swept else [])
    assert run.path.exists() is not swept


def test_the_processes_of_a_dead_run_die_with_it(state: Path) -> None:
    run = made(state, "r", DEAD)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, process_group=0) as child:
        identity = Identity.of(child.pid)
        assert identity
        reused = replace(Identity.mine(), started=1)
        run.children.write_text(f"{reused.to_json()}\nnot json\n{identity.to_json()}\n")
        assert rundir.sweep(state) == ["r"]
        assert child.wait(5) == -9


def test_a_directory_that_goes_away_meanwhile_is_no_matter(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = RunDir(state / "gone")
    monkeypatch.setattr(rundir, "all_runs", lambda root: iter([gone]))
    assert gone.age == 0
    assert rundir.sweep(state) == []


def test_services_elsewhere_are_lost_with_the_keeper_and_those_here_are_not(state: Path) -> None:
    living, dead, here = (
        made(state, name, owner) for name, owner in (("a", Identity.mine()), ("b", DEAD), ("c", DEAD))
    )
    for run in (living, dead):
        run.elsewhere.write_text("ssh://h")
    assert (living.loss(), here.loss()) == ("", "")
    assert dead.loss() == "docker engine at ssh://h: the ssh connection ended with the keeper of run b, which is gone"
    dead.lost.write_text("it is lost")
    assert dead.loss() == "it is lost"


def test_sockets_of_dead_connections_go_with_the_dead_runs(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.runtimes.ssh.place.root", lambda: state / "t")
    dead = new_place(Note("ssh://h", "", DEAD))
    (state / "runs").mkdir()
    assert rundir.sweep(state / "runs") == []
    assert not dead.path.exists()


def test_runs_are_listed_oldest_first_without_links_and_files(state: Path) -> None:
    made(state, "b")
    made(state, "a")
    (state / "file").touch()
    (state / "link").symlink_to(state / "a")
    assert [run.run for run in rundir.all_runs(state)] == ["a", "b"]


def test_ids_sort_by_time_and_differ() -> None:
    ids = [rundir.new_run_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(len(item) == len("1231-235959-abcdef") for item in ids)


def test_the_state_directory_is_made_private(state: Path) -> None:
    root = rundir.state_root(state / "a" / "b")
    assert root.stat().st_mode & 0o777 == 0o700
    assert rundir.state_root(None).parent == Path("/tmp").resolve() or rundir.state_root(None).exists()


def test_a_state_directory_that_cannot_be_made(state: Path) -> None:
    (state / "file").touch()
    with pytest.raises(UsageError, match=r"state directory .*/file/x: Not a directory") as caught:
        rundir.state_root(state / "file" / "x")
    assert "--state" in caught.value.next_step


def test_a_state_directory_of_somebody_else(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.keeper.rundir.os.getuid", lambda: 4711)
    with pytest.raises(UsageError, match=r"belongs to user \d+"):
        rundir.state_root(state)


def test_removing_tells_whether_it_is_gone(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(state, "r")
    assert run.remove()
    assert run.remove()
    stays = made(state, "s")
    with monkeypatch.context() as patched:  # no longer than this: the fixture removes its directory by it too
        patched.setattr("harness.keeper.rundir.shutil.rmtree", lambda path, ignore_errors: None)
        assert not stays.remove()


def test_a_lost_keeper_is_waited_for_before_its_directory_is_swept(state: Path) -> None:
    """Whoever asks right after a SIGKILL still sees the keeper alive: without waiting the directory stayed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as keeper:
        run = made(state, "r", Identity.of(keeper.pid))
        dying = threading.Timer(0.1, keeper.kill)
        dying.start()
        rundir.sweep_lost(run, within=10)
        assert not run.path.exists()
        dying.join()


def test_a_keeper_that_is_only_mute_keeps_its_directory(state: Path) -> None:
    run = made(state, "r", Identity.mine())
    rundir.sweep_lost(run, within=0.02)
    assert run.path.exists()


def test_a_lost_keeper_that_never_owned_its_directory_is_no_matter(state: Path) -> None:
    run = made(state, "r", age=60)
    rundir.sweep_lost(run, within=10)
    assert not run.path.exists()
