"""Leftovers: those of dead runs go, everything else stays; what was not removed is told."""

from __future__ import annotations

import pytest

from harness.errors import LeftBehind
from harness.ports import Handle
from harness.smoke import sweep as module
from harness.smoke.base import Probe
from harness.smoke.identity import DEAD_AFTER, new_id
from harness.smoke.sweep import remove, sweep, verify
from tests.unit.rigs.core_rig import StubHandle

NOW = 1_795_239_192.0
OLD, YOUNG = new_id(NOW - DEAD_AFTER - 1), new_id(NOW - 60)


class Shelf(Probe):
    """A service that is a list of names."""

    kind = "shelf"
    what_it_writes = "a name"

    def __init__(self, *names: str, stuck: bool = False) -> None:
        self.names, self.stuck, self.asked = list(names), stuck, list[str]()

    def identify(self, handle: Handle) -> str:
        return ""

    def permitted(self, handle: Handle, identity: str) -> None:
        return

    def leftovers(self, handle: Handle) -> tuple[str, ...]:
        return tuple(self.names)

    def remove(self, handle: Handle, identity: str) -> None:
        self.asked.append(identity)
        if not self.stuck and identity in self.names:
            self.names.remove(identity)


HANDLE = StubHandle({}, name="shelf", kind="shelf")


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = Shelf(OLD, YOUNG, "orders")
    monkeypatch.setattr(module, "probe_of", lambda kind: made if kind == "shelf" else None)
    return made


def test_only_what_dead_smoke_runs_left_is_swept(shelf: Shelf) -> None:
    assert sweep(HANDLE, lambda: NOW) == [f"shelf: {OLD}"]
    assert shelf.names == [YOUNG, "orders"], "a run that may live, or somebody else's, was touched"
    assert shelf.asked == [OLD]


def test_what_stays_although_it_was_removed_is_left_behind(shelf: Shelf) -> None:
    shelf.stuck = True
    with pytest.raises(LeftBehind, match=f"{OLD} wrote is still there: a name"):
        sweep(HANDLE, lambda: NOW)
    with pytest.raises(LeftBehind):
        remove(HANDLE, YOUNG)


def test_a_run_that_was_ended_is_cleaned_up_after_and_a_clean_one_not_touched(shelf: Shelf) -> None:
    verify(HANDLE, YOUNG)
    verify(HANDLE, new_id(NOW))
    assert (shelf.names, shelf.asked) == ([OLD, "orders"], [YOUNG])


def test_a_kind_without_a_probe_has_nothing_to_sweep() -> None:
    other = StubHandle({}, kind="other")
    assert sweep(other) == []
    remove(other, OLD)
    verify(other, OLD)
