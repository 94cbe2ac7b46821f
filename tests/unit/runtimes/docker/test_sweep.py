"""Clean-up by label: two empty listings, things born late, and owners that must not be harmed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from requests import ReadTimeout

from harness.runtimes.docker import sweep as subject
from harness.runtimes.docker.labels import EXPIRES, OWNER, RUN, read_owner
from harness.runtimes.docker.sweep import Found, is_dead, listing, remove_run, sweep
from tests.unit.rigs.docker_rig import FakeEngine, no_sleep, owner, refusal

NOW = 1_000_000.0
DEAD_PID: dict[str, Any] = {"started": 1}
ELSEWHERE: dict[str, Any] = {"boot": "another-boot"}
NEIGHBOUR: dict[str, Any] = {"namespace": "pid:[1]"}


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nothing sleeps."""
    return no_sleep(monkeypatch, subject.__name__)


def things(engine: FakeEngine, run: str, **identity: str | int) -> None:
    """One container, network and volume of a run."""
    labels = owner(run, **identity).labels()
    engine.container(f"c-{run}", labels)
    engine.thing("networks", f"n-{run}", labels)
    engine.thing("volumes", f"v-{run}", labels)


def left(engine: FakeEngine) -> list[str]:
    things = [*engine.networks, *engine.volumes]
    return sorted([*(item.name for item in engine.containers), *(item.name for item in things)])


def test_everything_of_a_run_goes_and_nothing_else(engine: FakeEngine) -> None:
    things(engine, "r1")
    things(engine, "r2")
    engine.container("stranger", {})
    engine.thing("networks", "bridge", {})
    assert remove_run(engine.client(), "r1") == []
    assert left(engine) == ["bridge", "c-r2", "n-r2", "stranger", "v-r2"]


def test_containers_go_before_what_they_use(engine: FakeEngine) -> None:
    things(engine, "r1")
    assert [item.what for item in listing(engine.client(), "r1")] == ["container c-r1", "network n-r1", "volume v-r1"]
    remove_run(engine.client(), "r1")
    removals = [verb for verb, _, _ in engine.calls if verb.endswith(".remove")]
    assert removals == ["containers.remove", "networks.remove", "volumes.remove"]


def test_two_empty_listings_in_a_row_are_the_end(engine: FakeEngine, slept: list[float]) -> None:
    assert remove_run(engine.client(), "r1") == []
    assert len(engine.asked("containers.list")) == 2
    assert slept == [subject.PAUSE]


def test_a_container_that_is_born_late_is_found(engine: FakeEngine) -> None:
    """Its create request was under way when its owner died: the first listing did not have it."""

    def born() -> None:
        if len(engine.asked("containers.list")) == 2:
            engine.container("late", owner("r1").labels())

    engine.before["containers.list"] = born
    assert remove_run(engine.client(), "r1") == []
    assert engine.containers == []
    assert len(engine.asked("containers.list")) == 4


def test_what_somebody_else_removes_meanwhile_is_gone(engine: FakeEngine) -> None:
    things(engine, "r1")
    engine.before["containers.remove"] = engine.containers.clear
    assert remove_run(engine.client(), "r1") == []


def test_what_is_being_removed_is_waited_for(engine: FakeEngine) -> None:
    things(engine, "r1")
    engine.refuse("containers.remove", refusal(409, "removal of container c-r1 is already in progress"))
    assert remove_run(engine.client(), "r1") == []
    assert left(engine) == []


def test_an_engine_that_is_slow_once_is_asked_again(engine: FakeEngine) -> None:
    things(engine, "r1")
    engine.refuse("containers.remove", ReadTimeout("Read timed out."))
    assert remove_run(engine.client(), "r1") == []
    assert left(engine) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [(refusal(403, "has active endpoints"), "network n-r1: has active endpoints"),
     (ReadTimeout("Read timed out."), "network n-r1: Read timed out.")],
)  # fmt: skip
def test_what_cannot_be_removed_is_told_by_name(engine: FakeEngine, error: Exception, told: str) -> None:
    things(engine, "r1")
    engine.refuse("networks.remove", *[error] * subject.ROUNDS)
    assert remove_run(engine.client(), "r1") == [told]


def test_what_stays_in_use_is_told_by_name(engine: FakeEngine) -> None:
    engine.thing("volumes", "v-r1", owner("r1").labels()).busy = True
    assert remove_run(engine.client(), "r1") == ["volume v-r1: still there, or there again"]


# -- whose is it --------------------------------------------------------------------------------------------------


def found(expires: float | None = None, **identity: Any) -> Found:
    more = {} if expires is None else {"expires": f"{expires:.3f}"}
    return Found("volume v", owner("r1", **identity).labels(**more), lambda: None)


@pytest.mark.parametrize(
    ("items", "dead"),
    [
        ([found()], False),  # ours, and we live
        ([found(NOW - 9)], False),  # a lapsed lease does not matter where the process can be seen
        ([found(**DEAD_PID)], True),
        ([found(NOW + 60, **DEAD_PID)], True),  # nor does one that holds
        ([found(**DEAD_PID), found()], False),
        ([found(NOW + 1, **ELSEWHERE)], False),
        ([found(NOW - 1, **ELSEWHERE)], True),
        ([found(NOW + 1, **NEIGHBOUR)], False),
        ([found(NOW - 1, **NEIGHBOUR)], True),
        ([found(NOW - 9, **ELSEWHERE), found(NOW + 1, **ELSEWHERE)], False),  # the last renewal counts
        ([found(**ELSEWHERE)], True),  # a lease is taken before anything else is made
        ([Found("volume v", {RUN: "r1", OWNER: "?", EXPIRES: "1"}, lambda: None)], False),  # nobody's is left alone
        ([], False),
    ],
)
def test_a_run_is_dead_when_its_owner_is_and_a_foreign_one_when_its_lease_lapsed(
    items: list[Found], dead: bool
) -> None:
    assert is_dead(items, NOW) is dead


def test_a_sweep_takes_dead_runs_only(engine: FakeEngine) -> None:
    things(engine, "mine")
    things(engine, "dead", started=1)
    things(engine, "lapsed", boot="another-boot")
    things(engine, "abroad", boot="another-boot")
    engine.thing("volumes", "lease", owner("abroad", boot="another-boot").labels(expires=f"{time.time() + 50:.3f}"))
    assert sorted(sweep(engine.client())) == ["dead", "lapsed"]
    assert left(engine) == ["c-abroad", "c-mine", "lease", "n-abroad", "n-mine", "v-abroad", "v-mine"]


@pytest.mark.parametrize("labels", [None, {}, {"other": "x"}, {RUN: "r1"}, {RUN: "r1", OWNER: "{}"},
                                    {RUN: "r1", OWNER: '"text"'}, {RUN: "r1", OWNER: '{"pid": 1}'}])  # fmt: skip
def test_labels_that_are_not_the_harnesss_have_no_owner(labels: dict[str, str] | None) -> None:
    assert read_owner(labels) is None


def test_an_owner_is_read_as_it_was_written() -> None:
    assert read_owner(owner("r7").labels(service="redis")) == owner("r7")
