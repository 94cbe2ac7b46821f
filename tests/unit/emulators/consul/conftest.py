"""Makes this repository's `tests` importable by name, so that the rig beside this file is; and gives its servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from tests.unit.emulators.consul.consul_rig import Emulator, World, make_world


@pytest.fixture
def world() -> World:
    """A started server without sockets, on a clock that the test moves."""
    return make_world()


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One running emulator of the default profile for the tests of a file."""
    running = Emulator()
    yield running
    running.stop()
