"""Directories of connections: short, for this user alone, and gone with their owners."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.identity import Identity
from harness.runtimes.ssh import place as subject
from harness.runtimes.ssh.place import LONGEST, Note, Place, new_place, place_of, sweep

MINE = Note("ssh://me@h", "/c", Identity.mine())


@pytest.fixture
def root(state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the directories are."""
    monkeypatch.setattr(subject, "root", lambda: state / "t")
    return state / "t"


def test_it_is_for_this_user_alone_and_says_whose_it_is(root: Path) -> None:
    place = new_place(MINE)
    assert place.path.parent == root
    assert [path.stat().st_mode & 0o777 for path in (root, place.path)] == [0o700, 0o700]
    assert Note.read(place) == MINE
    assert place.printed() == ""


def test_the_root_goes_with_the_last_one(root: Path) -> None:
    one, two = new_place(MINE), new_place(MINE)
    one.remove()
    assert root.exists()
    two.remove()
    assert not root.exists()
    two.remove()


def test_a_forwarded_socket_leads_to_its_place_and_no_other_does(root: Path) -> None:
    place = new_place(MINE)
    assert place_of(place.docker_host) == place
    for other in ("unix:///var/run/docker.sock", f"tcp://{place.socket}", f"unix://{place.control}", ""):
        assert place_of(other) is None


def test_what_the_dead_left_is_swept_and_nothing_of_the_living(root: Path) -> None:
    mine = new_place(MINE)
    dead = new_place(replace(MINE, owner=replace(Identity.mine(), started=1)))
    foreign = new_place(replace(MINE, owner=replace(Identity.mine(), namespace="pid:[1]")))
    young, old = new_place(MINE), new_place(MINE)
    for place in (young, old):
        place.note.write_text("{")
    long_ago = time.time() - 60
    os.utime(old.path, (long_ago, long_ago))
    (root / "a file").touch()
    sweep()
    assert {path for path in root.iterdir() if path.is_dir()} == {mine.path, foreign.path, young.path}
    assert not dead.path.exists()


def test_nothing_to_sweep_is_fine(root: Path) -> None:
    sweep()
    assert not root.exists()


@pytest.mark.parametrize(("length", "usual"), [(10, True), (90, False)])
def test_a_long_directory_for_temporary_files_is_not_used(
    monkeypatch: pytest.MonkeyPatch, length: int, usual: bool
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/" + "x" * length)
    found = subject.root()
    assert str(found).startswith("/xx") is usual
    assert found.name == f"ih-ssh-{os.getuid()}"
    assert len(str(found / "12345678" / "c")) + 17 < 108
    assert len(str(found)) < LONGEST


def test_a_directory_that_others_may_enter_is_refused(root: Path) -> None:
    root.mkdir()
    root.chmod(0o755)
    with pytest.raises(UsageError, match="can be entered by others"):
        new_place(MINE)


def test_a_place_where_nothing_can_be_made_is_refused(root: Path) -> None:
    root.touch()
    with pytest.raises(UsageError, match=r"can be entered by others|Not a directory|File exists"):
        new_place(MINE)


def test_a_place_that_is_gone_has_printed_nothing(root: Path) -> None:
    assert Place(root / "gone").printed() == ""
    assert Note.read(Place(root / "gone")) is None
