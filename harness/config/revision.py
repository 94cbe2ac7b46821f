"""Which state of a project is tested: without that, a test that changed its verdict says nothing about itself."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

SHOWN = 12


def revision_of(root: Path) -> str:
    """The commit of a project, with a mark of what was changed since; empty when git does not say.

    Two runs with the same answer tested the same files, those aside that git was never told of.
    """
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()[:SHOWN]
        changes = _git(root, "diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}+{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else commit


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True, errors="replace")
    return done.stdout
