"""Consul's emulator for tests: without sockets on a clock that the test moves, and as a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
