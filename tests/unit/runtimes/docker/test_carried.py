"""Files of this machine in a container on another: copied, or refused with the reason before anything starts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import PlanError
from harness.model import Mount, ServicePlan
from harness.runtimes.docker import carried as subject
from harness.runtimes.docker.carried import copies, refuse_uncarried
from tests.unit.rigs.core_rig import service


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with a file, a program below it, and a link to it."""
    (tmp_path / "sub" / "empty").mkdir(parents=True)
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.json").chmod(0o600)
    (tmp_path / "sub" / "run").write_text("#!/bin/sh")
    (tmp_path / "sub" / "run").chmod(0o755)
    (tmp_path / "link").symlink_to("a.json")
    return tmp_path


def bind(source: Path, target: str = "/etc/app", read_only: bool = True) -> Mount:
    return Mount("bind", target, str(source), read_only=read_only)


def with_mounts(*mounts: Mount, read_only: bool = False) -> ServicePlan:
    return replace(service("app"), mounts=mounts, read_only=read_only)


def refusal_of(plan: ServicePlan) -> PlanError:
    with pytest.raises(PlanError) as refused:
        refuse_uncarried({"app": plan})
    assert refused.value.message.startswith("service app: ")
    assert refused.value.next_step
    return refused.value


def test_a_file_is_copied_for_every_user_to_read(tree: Path) -> None:
    (found,) = copies(with_mounts(), bind(tree / "a.json", "/etc/app.json")).items()
    assert (found[0], found[1].data, found[1].mode) == ("/etc/app.json", b"{}", 0o444)


def test_a_directory_is_copied_whole_and_programs_stay_programs(tree: Path) -> None:
    found = copies(with_mounts(), bind(tree, "/etc/app/"))
    assert {path: file.mode for path, file in found.items()} == {
        "/etc/app/a.json": 0o444, "/etc/app/link": 0o444, "/etc/app/sub/run": 0o555,
    }  # fmt: skip
    assert found["/etc/app/link"].data == b"{}"


def test_what_can_be_copied_is_let_through(tree: Path) -> None:
    mounts = (bind(tree), bind(tree / "a.json", "/x"), Mount("volume", "/data", "d"), Mount("content", "/c", "text"))
    refuse_uncarried({"app": with_mounts(*mounts, Mount("tmpfs", "/run"))})


def test_a_writable_bind_is_refused(tree: Path) -> None:
    told = refusal_of(with_mounts(bind(tree, read_only=False)))
    assert f"{tree} cannot be at /etc/app on another machine: it may be written" in told.message
    assert ":ro" in told.next_step


def test_what_is_not_here_or_no_file_is_refused(tree: Path) -> None:
    assert "there is no such file" in refusal_of(with_mounts(bind(tree / "none"))).message
    os.mkfifo(tree / "fifo")
    assert "neither a file nor a directory" in refusal_of(with_mounts(bind(tree / "fifo"))).message


def test_what_is_too_large_is_refused_with_its_size(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "LARGEST", 10)
    assert "are more than 0 MB" in refusal_of(with_mounts(bind(tree))).message


@pytest.mark.parametrize("kind", ["bind", "content"])
def test_a_place_that_nothing_can_be_copied_to_is_refused(tree: Path, kind: str) -> None:
    mount = bind(tree, "/run/x") if kind == "bind" else Mount("content", "/run/x", "secret text")
    hidden = refusal_of(with_mounts(mount, Mount("tmpfs", "/run/"))).message
    assert "cannot be at /run/x on another machine: it lies in a tmpfs" in hidden
    assert "secret text" not in hidden
    assert "read-only" in refusal_of(with_mounts(mount, read_only=True)).message


def test_a_file_that_cannot_be_read_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PlanError, match=r"a\.json: Permission denied"):
        copies(with_mounts(), bind(tree / "a.json"))
