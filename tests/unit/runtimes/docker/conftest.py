"""An engine of the test's own behind docker's client."""

from __future__ import annotations

import pytest

from tests.unit.rigs.docker_rig import FakeEngine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The fake engine, installed."""
    return FakeEngine().install(monkeypatch)
