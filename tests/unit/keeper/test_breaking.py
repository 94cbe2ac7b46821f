"""Breaking beyond kill and pause, links, and who heals what: over the keeper's real socket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.errors import FaultError, UsageError
from harness.keeper.breaking import Undos
from harness.keeper.client import RemoteStack
from harness.model import LinkPlan, Port, State
from harness.ports import DiskLimitable, Isolatable, Linkable, Lossy, Reconfigurable, Squeezable
from harness.probes.answer import answers
from harness.probes.poll import NotYet
from tests.unit.rigs.core_rig import FakeInstance, FakeRuntime, eventually, plan_of, service
from tests.unit.rigs.keeper_rig import Keeper, keeper_here


@dataclass
class Breakable(FakeInstance):
    """An instance that can be isolated, misconfigured and kept from writing."""

    def isolate(self) -> None:
        self.events.append(f"isolate {self.name}")

    def rejoin(self) -> None:
        self.events.append(f"rejoin {self.name}")

    def misconfigure(self, word: str) -> None:
        self.events.append(f"misconfigure {self.name} {word}")

    def reconfigure(self) -> None:
        self.events.append(f"reconfigure {self.name}")

    def fill_disk(self) -> None:
        self.events.append(f"fill_disk {self.name}")

    def free_disk(self) -> None:
        self.events.append(f"free_disk {self.name}")

    def lose_packets(self, percent: float) -> None:
        self.events.append(f"lose_packets {self.name} {percent}")

    def keep_packets(self) -> None:
        self.events.append(f"keep_packets {self.name}")


@pytest.fixture
def runtime() -> FakeRuntime:
    made = FakeRuntime()
    made.prepared["a"] = Breakable("a", made.events)
    return made


@pytest.fixture
def keeper(state: Path, monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime) -> Iterator[Keeper]:
    with keeper_here(state, monkeypatch, runtime) as made:
        yield made


PORTS = (Port("tcp", 80),)
PLAN = replace(
    plan_of(service("a", ports=PORTS), service("b", ports=PORTS)),
    links=(LinkPlan("edge", "a", "tcp", ("b",)),),
)


def up(keeper: Keeper) -> RemoteStack:
    return keeper.client().start(PLAN, **keeper.request)


def test_a_handle_has_what_its_runtime_can_do_and_nothing_more(keeper: Keeper) -> None:
    stack = up(keeper)
    capabilities: tuple[type, ...] = (Isolatable, Reconfigurable, DiskLimitable, Lossy)
    assert [isinstance(stack["a"], capability) for capability in capabilities] == [True] * 4
    assert [isinstance(stack["b"], capability) for capability in capabilities] == [False] * 4


def test_every_operation_reaches_the_instance(keeper: Keeper, runtime: FakeRuntime) -> None:
    a = up(keeper)["a"]
    runtime.events.clear()
    for verb in ("isolate", "rejoin", "fill_disk", "free_disk"):
        getattr(a, verb)()
    a.lose_packets(12.5)  # type: ignore[attr-defined]
    a.keep_packets()  # type: ignore[attr-defined]
    a.misconfigure("--x")  # type: ignore[attr-defined]  # the class is made for what the runtime can
    assert a.state is State.STOPPED
    a.reconfigure()  # type: ignore[attr-defined]
    assert runtime.events == [
        "isolate a", "rejoin a", "fill_disk a", "free_disk a", "lose_packets a 12.5", "keep_packets a",
        "misconfigure a --x", "reconfigure a",
    ]  # fmt: skip
    assert eventually(lambda: a.refresh().state is State.READY)


def test_what_a_runtime_cannot_is_refused_with_the_reason(keeper: Keeper) -> None:
    up(keeper)
    with pytest.raises(FaultError, match="b: isolate: not Isolatable on this runtime"):
        keeper.client().call("isolate", service="b")


def test_memory_that_nothing_limits_cannot_be_squeezed(keeper: Keeper) -> None:
    stack = up(keeper)
    assert not isinstance(stack["a"], Squeezable)
    with pytest.raises(FaultError, match="a: squeeze: a service of no kind has no memory limit"):
        keeper.client().call("squeeze", service="a", share=0.5)


def test_what_a_client_broke_is_healed_when_it_goes(keeper: Keeper, runtime: FakeRuntime) -> None:
    up(keeper)
    other = keeper.client()
    for verb in ("isolate", "fill_disk", "pause"):
        other.call(verb, service="a")
    other.call("lose_packets", service="a", percent=30)
    runtime.events.clear()
    other.disconnect()
    eventually(lambda: len(runtime.events) == 4)
    assert runtime.events == ["keep_packets a", "resume a", "free_disk a", "rejoin a"]


def test_broken_tells_what_is_broken_and_heal_mends_it(keeper: Keeper, runtime: FakeRuntime) -> None:
    stack = up(keeper)
    stack["a"].pause()
    stack.links["edge"].cut()
    other = keeper.client()
    assert other.call("broken") == [["a", "resume"], ["link edge", "mend"]]
    assert other.call("heal") == []
    assert other.call("broken") == []
    assert stack.links["edge"].flaws() == ()
    assert runtime.events[-1] == "resume a"


def test_heal_tells_what_it_could_not_heal(keeper: Keeper, runtime: FakeRuntime) -> None:
    stack = up(keeper)

    def stuck() -> None:
        raise OSError("no such process")

    runtime.prepared["a"].resume = stuck  # type: ignore[method-assign]
    stack["a"].pause()
    (words,) = keeper.client().call("heal")
    assert "resume a: no such process" in words


# -- links --------------------------------------------------------------------------------------------------


def test_a_planned_link_is_there_before_the_services_and_only_its_sources_are_told(
    keeper: Keeper, runtime: FakeRuntime
) -> None:
    stack = up(keeper)
    link = stack.links["edge"]
    assert isinstance(link, Linkable)
    assert link.target == "a"
    assert link.endpoint.port not in {stack[name].endpoint().port for name in stack}
    assert runtime.seen["b"]["a"]["tcp"].port == link.endpoint.port
    assert runtime.seen["a"]["a"]["tcp"].port == stack["a"].endpoint().port


def test_a_link_between_services_listens_where_they_can_call_back_and_one_of_clients_on_loopback(
    keeper: Keeper, runtime: FakeRuntime
) -> None:
    runtime.callback_host = "127.0.0.2"
    plan = replace(PLAN, links=(*PLAN.links, LinkPlan("client", "a")))
    links = keeper.client().start(plan, **keeper.request).links
    assert {name: link.endpoint.host for name, link in links.items()} == {"edge": "127.0.0.2", "client": "127.0.0.1"}
    assert runtime.seen["b"]["a"]["tcp"] == links["edge"].endpoint


def test_a_link_between_services_elsewhere_is_told_as_they_reach_it(keeper: Keeper, runtime: FakeRuntime) -> None:
    runtime.elsewhere = "ssh://h"
    link = up(keeper).links["edge"]
    assert link.endpoint.host == "127.0.0.1"
    assert (link.inside.host, link.inside.port) == ("10.9.0.1", link.endpoint.port + 1)
    assert runtime.seen["b"]["a"]["tcp"] == link.inside
    assert runtime.called == [link.endpoint.port]


def test_a_handle_tells_how_the_stacks_own_services_reach_it(keeper: Keeper) -> None:
    handle = up(keeper)["a"]
    assert handle.inside() == handle.inside("tcp") == replace(handle.endpoint(), host="a")
    with pytest.raises(UsageError, match="no endpoint 'http'"):
        handle.inside("http")


def test_a_link_opened_later_is_the_same_one_when_opened_again(keeper: Keeper) -> None:
    links = up(keeper).links
    first = links.open("chaos-b", "b")
    assert links.open("chaos-b", "b").endpoint == first.endpoint
    assert set(links) == {"edge", "chaos-b"}
    assert len(links) == 2


@pytest.mark.parametrize(
    ("name", "target", "port", "words"),
    [("x", "nobody", "", "no service 'nobody'"), ("x", "a", "smtp", "a has no port 'smtp'")],
)
def test_a_link_to_nowhere_is_refused(keeper: Keeper, name: str, target: str, port: str, words: str) -> None:
    links = up(keeper).links
    with pytest.raises(UsageError, match=words):
        links.open(name, target, port)
    with pytest.raises(UsageError, match="no link 'x': expected one of edge"):
        links[name]


def test_bad_toxics_are_refused_and_leave_nothing(keeper: Keeper) -> None:
    link = up(keeper).links["edge"]
    for toxic, stream, attributes in (
        ("sloth", "upstream", {}),
        ("latency", "sideways", {}),
        ("latency", "upstream", {"x": 1}),
    ):
        with pytest.raises(FaultError):
            link.poison(toxic, stream, attributes)
    assert link.flaws() == ()


def test_toxics_of_a_client_that_goes_are_mended(keeper: Keeper) -> None:
    link = up(keeper).links["edge"]
    other = keeper.client()
    armed = RemoteStack(other, []).links["edge"]
    assert armed.poison("latency", "downstream", {"latency": 5}) == "latency_downstream"
    armed.cut()
    assert link.flaws() == ("latency_downstream", "down")
    other.disconnect()
    assert eventually(lambda: link.flaws() == ())


def test_links_end_with_the_stack(keeper: Keeper) -> None:
    stack = up(keeper)
    at = stack.links["edge"].endpoint
    assert answers(at) == "connected"
    assert stack.client.close_stack() == []
    with pytest.raises(NotYet):
        answers(at)


# -- the list of undos ----------------------------------------------------------------------------------------


def test_an_undo_is_forgotten_when_anybody_heals(tmp_path: Path) -> None:
    undos = Undos()
    undos.note(1, "a", "pause")
    undos.note(1, "a", "kill")
    undos.note(2, "b", "pause")
    undos.note(2, "a", "restart")
    assert undos.active() == [("b", "resume")]
    assert undos.take(1) == []
    assert undos.take() == [("b", "resume")]
    assert undos.active() == []


def test_undos_come_last_first_and_each_once() -> None:
    undos = Undos()
    for verb in ("pause", "kill", "pause"):
        undos.note(1, "a", verb)
    assert undos.take(1) == [("a", "resume"), ("a", "start")]
