"""Every fault: what it needs, what it does, what undoes it, and how the undo is checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness.errors import FaultError, UsageError
from harness.faults import FAULTS, Fault, Injection, LinkFault, fault_named
from harness.faults.base import together
from harness.faults.connection_exhaustion import ConnectionExhaustion, Crowd
from harness.faults.packet_loss import PacketLoss
from harness.model import Endpoint
from harness.probes.poll import NotYet
from tests.unit.rigs.core_rig import HARNESS, eventually
from tests.unit.rigs.fault_rig import Link, Target, server

DONE = {
    "kill": ["kill", "start wait=False"],
    "term": ["stop None", "start wait=False"],
    "restart": ["restart", "start wait=False"],
    "pause": ["pause", "resume"],
    "isolate": ["isolate", "rejoin"],
    "bad_configuration": ["misconfigure --no-such-setting", "reconfigure"],
    "disk_full": ["fill_disk", "free_disk"],
    "packet_loss": ["lose_packets 30.0", "keep_packets"],
    "link_down": ["cut", "mend"],
    "latency": ["latency downstream {'latency': 300, 'jitter': 0}", "mend"],
    "slow_dependency": ["latency downstream {'latency': 1500, 'jitter': 200}", "mend"],
    "blackhole": ["timeout upstream {'timeout': 0}", "timeout downstream {'timeout': 0}", "mend"],
    "reset": ["reset_peer upstream {'timeout': 0}", "mend"],
    "bandwidth": ["bandwidth upstream {'rate': 1}", "bandwidth downstream {'rate': 1}", "mend"],
    "partial_partition": ["timeout upstream {'timeout': 0}", "mend"],
}
ELSEWHERE = {"memory_pressure", "connection_exhaustion"}
"""The first needs a Redis (cli/test_chaos_verb.py); the second is tried below."""


@pytest.fixture
def at() -> Iterator[Endpoint]:
    with server() as endpoint:
        yield endpoint


def target_of(fault: type[Fault], at: Endpoint) -> Any:
    return Link(at) if issubclass(fault, LinkFault) else Target(at)


def test_every_file_of_the_folder_is_registered_under_its_name() -> None:
    files = {path.stem for path in (HARNESS / "faults").glob("*.py")} - {"__init__", "base"}
    assert {fault.name for fault in FAULTS} == files
    assert {fault.__module__.rpartition(".")[2] for fault in FAULTS} == files
    names = [name for fault in FAULTS for name in (fault.name, *fault.also)]
    assert len(set(names)) == len(names)


def test_every_fault_is_tried_here_or_said_to_be_tried_elsewhere() -> None:
    assert {fault.name for fault in FAULTS} == set(DONE) | ELSEWHERE


@pytest.mark.parametrize("name", DONE)
def test_a_fault_does_one_thing_and_its_undo_the_reverse(name: str, at: Endpoint) -> None:
    fault = fault_named(name)
    target = target_of(fault, at)
    injection = fault().inject(target)
    assert target.done == [], "nothing may happen before apply"
    assert target.name in injection.text
    injection.apply()
    injection.undo()
    assert target.done == DONE[name]
    injection.healed()


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS if issubclass(fault, LinkFault)])
def test_a_link_that_still_has_a_flaw_is_not_healed(name: str, at: Endpoint) -> None:
    link = Link(at)
    injection = fault_named(name)().inject(link)
    injection.apply()
    with pytest.raises(NotYet, match="still has"):
        injection.healed()


@pytest.mark.parametrize(
    "name", ["kill", "term", "restart", "pause", "isolate", "bad_configuration", "disk_full", "packet_loss"]
)
def test_a_service_that_does_not_answer_is_not_healed(name: str) -> None:
    with server() as gone:
        pass
    with pytest.raises(NotYet):
        fault_named(name)().inject(Target(gone)).healed()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_without_the_capability_the_reason_is_told(fault: type[Fault], at: Endpoint) -> None:
    @dataclass
    class Bare:
        name: str = "bare"

    reason = fault().obstacle(Bare())
    assert reason.startswith(f"fault {fault.name}: bare is not ")
    assert reason.endswith("on this runtime")
    with pytest.raises(FaultError, match="bare is not"):
        fault().inject(Bare())


def test_memory_pressure_is_for_redis_only(at: Endpoint) -> None:
    assert "only for redis; cache is tempo" in fault_named("memory_pressure")().obstacle(Target(at, kind="tempo"))


def test_packets_that_are_still_lost_show_as_an_exchange_that_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Endpoint] = []
    late = iter([False] * 15 + [True])

    def answers(endpoint: Endpoint) -> str:
        asked.append(endpoint)
        clock[0] += 0.3 if next(late) else 0.001
        return "PONG"

    clock = [0.0]
    monkeypatch.setattr("harness.faults.packet_loss.answers", answers)
    monkeypatch.setattr("harness.faults.packet_loss.time.monotonic", lambda: clock[0])
    with pytest.raises(NotYet, match=r"an exchange took 0.30 s"):
        PacketLoss(30.0).inject(Target(Endpoint("redis", "127.0.0.1", 1))).healed()
    late = iter([False] * 1000)
    asked.clear()
    PacketLoss(30.0).inject(Target(Endpoint("redis", "127.0.0.1", 1))).healed()
    assert len(asked) == 20, "0.7 ** (2 * 20) is less than one in a million"


@pytest.mark.parametrize(("short", "name"), [
    ("down", "link_down"), ("memory", "memory_pressure"), ("disk", "disk_full"), ("partition", "partial_partition"),
])  # fmt: skip
def test_a_fault_may_be_called_by_a_shorter_name(short: str, name: str) -> None:
    assert fault_named(short).name == name


def test_more_connections_than_files_are_refused_rather_than_mistaken(
    at: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("resource.getrlimit", lambda which: (100, 600))
    monkeypatch.setattr("resource.setrlimit", lambda which, limits: asked.append(limits))
    crowd = Crowd(at, 1)
    crowd.take()
    crowd.leave()
    assert asked == [(257, 600)]
    with pytest.raises(FaultError, match="400 connections: this process may open 600 files"):
        Crowd(at, 400).take()


def test_an_unknown_fault_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"unknown fault 'sunspots': expected one of kill, term"):
        fault_named("sunspots")


def test_a_crowd_takes_every_place_and_gives_them_back() -> None:
    with server(most=5) as at:
        crowd = Crowd(at, 40)
        crowd.take()
        assert len(crowd.held) == 5
        injection = ConnectionExhaustion(40).inject(Target(at))
        with pytest.raises(NotYet, match="max number of clients"):
            injection.healed()
        crowd.leave()
        crowd.leave()
        eventually(lambda: _heals(injection))


def test_a_crowd_stops_at_its_size(at: Endpoint) -> None:
    crowd = Crowd(at, 20)
    crowd.take()
    assert len(crowd.held) == 20
    crowd.leave()


def _heals(injection: Injection) -> bool:
    try:
        injection.healed()
    except NotYet:
        return False
    return True


def test_several_faults_as_one_are_all_undone_even_when_one_undo_fails() -> None:
    done: list[str] = []

    def one(name: str) -> Injection:
        def undo() -> None:
            done.append(f"undo {name}")
            if name == "b":
                raise OSError("stuck")

        return Injection(name, lambda: done.append(f"apply {name}"), undo, lambda: done.append(f"healed {name}"))

    both = together(one("a"), one("b"), one("c"))
    both.apply()
    with pytest.raises(OSError, match="stuck"):
        both.undo()
    both.healed()
    assert both.text == "a and b and c"
    assert (both.parts, together(both, one("d")).parts) == (3, 4)
    assert done == ["apply a", "apply b", "apply c", "undo c", "undo b", "undo a", "healed a", "healed b", "healed c"]
