"""What goes over the socket comes out as it went in, errors with their class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError, NotReady, all_errors
from harness.keeper import wire
from harness.model import (
    Endpoint,
    Fidelity,
    Health,
    Limits,
    Mount,
    Port,
    ServicePlan,
    ServiceStatus,
    Source,
    StackPlan,
    State,
)
from tests.unit.rigs.core_rig import plan_of

words = st.text(max_size=6)
plans = st.builds(
    ServicePlan,
    name=st.just("a"),
    image=words,
    kind=st.none() | words,
    command=st.lists(words, max_size=3).map(tuple),
    environment=st.dictionaries(words, words, max_size=2),
    mounts=st.lists(st.builds(Mount, words, words, words, st.booleans()), max_size=2).map(tuple),
    ports=st.lists(st.builds(Port, words, st.integers(1, 65535), words), max_size=2).map(tuple),
    health=st.none() | st.builds(Health, st.lists(words, max_size=2).map(tuple), st.floats(0, 60)),
    limits=st.builds(Limits, st.integers(0, 2**40), st.floats(0, 64), st.integers(0, 999)),
)


@given(plans)
def test_a_plan_survives_the_socket(item: ServicePlan) -> None:
    plan = plan_of(item)
    line = wire.encode({"plan": wire.plan_to_wire(plan)})
    assert line.endswith(b"\n")
    found = wire.plan_from_wire(json.loads(line)["plan"])
    assert isinstance(found, StackPlan)
    assert found == plan


@given(st.sampled_from(State), st.sampled_from(Source), words, st.floats(0, 100))
def test_a_status_survives_the_socket(state: State, source: Source, text: str, seconds: float) -> None:
    status = ServiceStatus(
        "a", None, state, Fidelity(source, text), {"x": Endpoint("x", "h", 1)}, {"p": text}, seconds, text, Path("/l")
    )
    assert wire.status_from_wire(json.loads(json.dumps(wire.status_to_wire(status)))) == status


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.__name__)
def test_every_error_arrives_with_its_class(error: type[HarnessError]) -> None:
    found = wire.error_from_wire(json.loads(json.dumps(wire.error_to_wire(error("what", "next")))))
    assert (type(found), found.message, found.next_step) == (error, "what", "next")


def test_an_error_that_is_no_ours_arrives_as_the_base_with_its_name() -> None:
    found = wire.error_from_wire(wire.error_to_wire(KeyError("x")))
    assert (type(found), found.message) == (HarnessError, "KeyError: 'x'")


@pytest.mark.parametrize("data", [None, {}, {"project": 1}])
def test_what_is_no_plan(data: object) -> None:
    with pytest.raises(ValueError, match="validation error"):
        wire.plan_from_wire(data)


def test_a_services_own_error_keeps_its_meaning() -> None:
    assert isinstance(wire.error_from_wire(wire.error_to_wire(NotReady("x"))), NotReady)
