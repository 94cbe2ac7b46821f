"""The look before the leap: every service at once, each with its own verdict, late ones told as late."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from harness.errors import BudgetSpent, FidelityError, NotReady, TargetDown, TargetForbidden
from harness.model import Endpoint
from harness.ports import Handle
from harness.probes.poll import Deadline
from harness.smoke import preflight
from harness.smoke.base import Probe
from harness.smoke.preflight import Seen, look
from tests.unit.rigs.core_rig import StubHandle


class Told(Probe):
    """Answers as it was told to."""

    kind = "told"
    what_it_writes = "nothing"

    def __init__(self, version: str = "1.0", may_write: bool = True) -> None:
        self.version, self.may_write, self.waiting = version, may_write, threading.Event()
        self.raises: Exception | None = None
        self.waiting.set()

    def identify(self, handle: Handle) -> str:
        self.waiting.wait(10)
        if self.raises:
            raise self.raises
        return self.version

    def permitted(self, handle: Handle, identity: str) -> None:
        if not self.may_write:
            raise TargetForbidden("no writing")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    made = Told()
    monkeypatch.setattr(preflight, "probe_of", lambda kind: made)
    yield made
    made.waiting.set()


def one(writes: bool = True, allow: bool = False, within: float = 5.0) -> Seen:
    return look({"a": StubHandle({}, name="a", kind="told")}, "id", Deadline.after(within), writes, allow)["a"]


def test_a_service_that_is_as_it_should_be_has_no_error(told: Told) -> None:
    seen = one()
    assert (seen.name, seen.version, seen.error, seen.emulated) == ("a", "1.0", None, False)


def test_the_right_to_write_is_asked_for_only_where_something_is_to_be_written(told: Told) -> None:
    told.may_write = False
    assert isinstance(one().error, TargetForbidden)
    assert one(writes=False).error is None


def test_an_emulator_is_refused_unless_it_is_a_rehearsal(told: Told) -> None:
    told.version = "1.0+emu"
    refused = one()
    assert isinstance(refused.error, FidelityError)
    assert "told 1.0+emu is an emulator" in refused.error.message
    assert "--allow-emulators" in refused.error.next_step
    assert (one(allow=True).error, one(allow=True).emulated) == (None, True)


def test_what_nobody_foresaw_is_that_services_trouble(told: Told) -> None:
    told.raises = KeyError("x")
    assert isinstance(one().error, NotReady)


def test_a_service_that_is_late_is_not_reached_and_never_well(told: Told) -> None:
    told.waiting.clear()
    seen = one(within=0.1)
    assert isinstance(seen.error, BudgetSpent)
    assert "within the budget of 0.1 s" in seen.error.message


def test_an_address_where_nobody_is_ends_the_look_before_any_question(told: Told) -> None:
    nobody = StubHandle({"http": Endpoint("http", "127.0.0.1", 1, "http")}, name="b", kind="told")
    told.raises = AssertionError("asked all the same")
    assert isinstance(look({"b": nobody}, "id", Deadline.after(5), True)["b"].error, TargetDown)
