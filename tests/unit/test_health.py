"""Health: the verdict on each service is its own trouble or that of what it needs; asking never raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.credentials import Secret
from harness.errors import UsageError
from harness.health import Edge, Finding, edges_of, examine, judge, look
from harness.model import ContainerOptions, Endpoint, Reading, State
from harness.probes.poll import NotYet
from tests.unit.rigs.core_rig import Script, StubHandle, scripted, service

NOBODY = {"http": Endpoint("http", "127.0.0.1", 1, "http")}


@dataclass
class OwnedStub(StubHandle):
    """A handle whose owner tells how it is."""

    state: State = State.READY
    cause: str = ""
    asked: list[str] = field(default_factory=list)


class FakeKind:
    """A kind whose service is as a test says."""

    libraries = ("json",)

    def __init__(self, ready: Any = "1.2", saturation: Any = ()) -> None:
        self._ready, self._saturation = ready, saturation

    def ready(self, handle: Any) -> Any:
        return _given(self._ready)

    def saturation(self, handle: Any) -> Any:
        return _given(self._saturation)


def _given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def with_kind(monkeypatch: pytest.MonkeyPatch, kind: FakeKind) -> None:
    monkeypatch.setattr("harness.health.kind_named", lambda name: kind)
    monkeypatch.setattr("harness.health.READY_WITHIN", 0.1)


def living(script: Script, **more: Any) -> OwnedStub:
    return OwnedStub(script.handle("http").endpoints, kind="any", **more)


def edges(*pairs: str) -> tuple[Edge, ...]:
    """`a>b` for each."""
    return tuple(Edge(client, server, ("depends_on",)) for client, _, server in (pair.partition(">") for pair in pairs))


# -- judging -------------------------------------------------------------------------------------------------------


def fine(name: str, **more: Any) -> Finding:
    return Finding(name, True, **more)


def down(name: str, problem: str = "is stopped") -> Finding:
    return Finding(name, False, problem)


def causes(*findings: Finding, needs: tuple[Edge, ...] = ()) -> dict[str, str]:
    health = judge({finding.name: finding for finding in findings}, needs)
    return {name: judged.cause for name, judged in health.services.items() if not judged.ready}


def test_services_that_work_and_need_only_such_are_well() -> None:
    health = judge({"a": fine("a"), "b": fine("b")}, edges("a>b"))
    assert health.well
    assert [judged.cause for judged in health.services.values()] == ["", ""]


def test_a_living_dependant_is_unready_because_of_what_it_needs() -> None:
    assert causes(fine("collector"), down("tempo"), needs=edges("collector>tempo")) == {
        "collector": "unready because tempo is stopped",
        "tempo": "is stopped",
    }


def test_the_cause_is_the_far_end_of_the_chain() -> None:
    found = causes(fine("app"), fine("collector"), down("tempo"), needs=edges("app>collector", "collector>tempo"))
    assert found["app"] == "unready because tempo is stopped (by way of collector)"


def test_a_service_that_does_not_work_blames_what_it_needs_and_tells_its_own_trouble() -> None:
    refusing = fine("collector", problem="does not do its work: HTTP 503")
    found = causes(refusing, down("tempo"), needs=edges("collector>tempo"))
    assert found["collector"] == "unready because tempo is stopped; itself does not do its work: HTTP 503"


def test_a_service_that_is_down_itself_blames_nobody() -> None:
    found = causes(
        down("collector", "is paused"), down("tempo"), fine("app"), needs=edges("app>collector", "collector>tempo")
    )
    assert found["collector"] == "is paused"
    assert found["app"] == "unready because collector is paused"


def test_a_service_that_was_held_back_blames_what_held_it() -> None:
    held = Finding("grafana", False, "was not started: needs tempo, which is not ready", blocked=True)
    found = causes(held, down("tempo", "failed: exited with code 3"), needs=edges("grafana>tempo"))
    assert found["grafana"] == "unready because tempo failed: exited with code 3"


def test_the_first_of_several_troubles_is_named_and_sound_servers_are_not() -> None:
    found = judge({"a": fine("a"), "b": fine("b"), "c": down("c")}, edges("a>b", "a>c"))
    assert (found.services["a"].culprit, found.services["b"].culprit) == ("c", "")


def test_services_that_need_each_other_are_judged_all_the_same() -> None:
    circle = edges("a>b", "b>a")
    assert causes(fine("a"), fine("b"), needs=circle) == {}
    assert causes(fine("a"), down("b"), needs=circle) == {"a": "unready because b is stopped", "b": "is stopped"}


def test_an_edge_to_what_is_not_there_is_no_cause() -> None:
    assert causes(fine("a"), needs=edges("a>elsewhere")) == {}


@pytest.mark.parametrize(("used", "well"), [(89.0, True), (90.0, False), (100.0, False)])
def test_a_service_near_a_limit_is_ready_and_not_well(used: float, well: bool) -> None:
    health = judge({"redis": fine("redis", readings=(Reading("memory", used, 100.0), Reading("mode", "default")))})
    judged = health.services["redis"]
    assert (judged.ready, judged.well, health.well) == (True, well, well)
    assert judged.cause == ("" if well else f"is nearly full: memory at {used:.0f}% of its limit")


# -- edges ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "needed"),
    [
        ("tempo:4317", True),
        ("http://tempo:3200/x", True),
        ("http://tempo", True),
        ("redis://:pw@tempo/0", True),
        ("traces.local:3200", True),
        ("tempo", False),
        ("my-tempo:3200", False),
        ("http://tempo-2/", False),
        ("http://tempo.example.org/", False),
        ("the tempo is high", False),
    ],
)
def test_an_address_in_the_environment_is_an_edge(value: str, needed: bool) -> None:
    tempo = service("tempo", options=ContainerOptions(aliases=("traces.local",)))
    client = service("client", environment={"ADDRESS": value})
    assert edges_of({"tempo": tempo, "client": client}) == ((Edge("client", "tempo", ("ADDRESS",)),) if needed else ())


def test_an_edge_is_told_once_with_all_that_says_so() -> None:
    a = service("a", "b", environment={"ONE": "b:1", "TWO": "http://b", "SELF": "a:1"})
    assert edges_of({"a": a, "b": service("b")}) == (Edge("a", "b", ("depends_on", "ONE", "TWO")),)


# -- asking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "cause", "problem"),
    [
        (State.PAUSED, "", "is paused"),
        (State.STOPPED, "", "is stopped"),
        (State.BLOCKED, "needs b, which is not ready", "was not started: needs b, which is not ready"),
        (State.FAILED, "exited with code 3; last lines:\n  boom", "failed: exited with code 3; last lines:"),
        (State.READY, "", "does not answer: 127.0.0.1:1: Connection refused"),
    ],
)
def test_what_is_not_alive_says_why(state: State, cause: str, problem: str) -> None:
    found = examine(OwnedStub(NOBODY, kind="redis", state=state, cause=cause))
    assert (found.alive, found.problem, found.latency) == (False, problem, 0.0)


def test_a_working_service_tells_version_latency_and_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    with_kind(monkeypatch, FakeKind("1.2", (Reading("queue", 1.0, 2.0),)))
    with scripted() as script:
        found = examine(living(script))
    assert (found.alive, found.problem, found.version) == (True, "", "1.2")
    assert found.readings[0].share == 0.5
    assert found.latency > 0


def test_a_service_that_failed_and_came_back_is_judged_by_what_it_does_now(monkeypatch: pytest.MonkeyPatch) -> None:
    with_kind(monkeypatch, FakeKind())
    with scripted() as script:
        assert examine(living(script, state=State.FAILED, cause="not after 60 s")).problem == ""


@pytest.mark.parametrize(
    ("error", "told"),
    [(NotYet("no leader of pass-word"), "no leader of ***"), (UsageError("no endpoint"), "no endpoint"),
     (ZeroDivisionError(), "ZeroDivisionError")],
)  # fmt: skip
def test_a_living_service_that_does_not_work_says_what_was_seen(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    with_kind(monkeypatch, FakeKind(error))
    with scripted() as script:
        found = examine(living(script, credentials={"password": Secret("pass-word")}))
    assert found.alive
    assert found.problem.startswith("does not do its work: ")
    assert found.problem.endswith(told)


def test_a_fill_that_cannot_be_had_is_no_trouble_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with_kind(monkeypatch, FakeKind(saturation=UsageError("no endpoint 'metrics'")))
    with scripted() as script:
        found = examine(living(script))
    assert (found.problem, found.readings, found.unmeasured) == ("", (), "no endpoint 'metrics'")


def test_a_service_of_no_kind_is_asked_for_its_protocol_alone() -> None:
    with scripted() as script:
        assert examine(OwnedStub(script.handle("http").endpoints)).alive
    assert not examine(OwnedStub(NOBODY)).alive


def test_what_listens_nowhere_is_as_its_owner_says() -> None:
    only_dns = {"dns": Endpoint("dns", "127.0.0.1", 1, "udp")}
    assert examine(OwnedStub(only_dns)).alive
    assert examine(OwnedStub(NOBODY), one_shot=True).problem == ""
    assert examine(OwnedStub({}, state=State.FAILED, cause="exited")).problem == "failed: exited"


def test_all_are_asked_and_judged_together(monkeypatch: pytest.MonkeyPatch) -> None:
    with_kind(monkeypatch, FakeKind())
    with scripted() as script:
        handles = {"a": living(script, name="a"), "b": OwnedStub(NOBODY, kind="any", name="b", state=State.PAUSED)}
        health = look(handles, {"a": service("a", "b"), "b": service("b")})
    assert health.services["a"].cause == "unready because b is paused"
    assert not health.well
