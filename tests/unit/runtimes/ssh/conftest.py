"""A machine behind ssh for every test of this folder that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.identity import Identity
from harness.runtimes.ssh.master import Master
from harness.runtimes.ssh.place import Note, new_place
from tests.unit.rigs.ssh_rig import FarMachine, far_machine


@pytest.fixture
def far(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FarMachine]:
    """The machine, behaving well."""
    with far_machine(state, monkeypatch) as made:
        yield made


@pytest.fixture
def master(far: FarMachine) -> Iterator[Master]:
    """A connection that is not opened yet."""
    place = new_place(Note(str(far.address), "", Identity.mine()))
    made = Master(far.address, place, "", lambda start: start())
    yield made
    made.close()
