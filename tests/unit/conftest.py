"""Keeps every test away from the machine's own state."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.rigs.core_rig import short_directory


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine, of CI or of an outer run reaches a test."""
    for name in list(os.environ):
        if name.startswith("HARNESS_") or name in {"CI", "NO_COLOR", "FORCE_COLOR"}:
            monkeypatch.delenv(name)


@pytest.fixture
def state(request: pytest.FixtureRequest) -> Path:
    """A state directory whose path is short enough for a Unix socket; removed after the test."""
    return short_directory(request)
