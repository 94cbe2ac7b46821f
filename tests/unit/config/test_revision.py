"""The state of a project: its commit, and whether something was changed since."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.config.revision import revision_of


def git(root: Path, *words: str) -> None:
    given = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *given, *words], cwd=root, check=True, capture_output=True)


def test_a_commit_a_change_and_the_same_change(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one\n")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "x")
    clean = revision_of(tmp_path)
    assert len(clean) == 12
    (tmp_path / "file").write_text("two\n")
    changed = revision_of(tmp_path)
    assert changed.startswith(f"{clean}+")
    assert revision_of(tmp_path) == changed
    (tmp_path / "file").write_text("three\n")
    assert revision_of(tmp_path) not in {clean, changed}


def test_without_git_nothing_is_known(tmp_path: Path) -> None:
    assert revision_of(tmp_path) == ""
    assert revision_of(tmp_path / "missing") == ""
