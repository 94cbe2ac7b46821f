"""Controls for every fault: switched off it does not show, an injector that does nothing is found out, and an undo that
does nothing costs the stack.

A green failover test is worth what these are: an experiment that could not fail proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.experiments.actors.redis_calls import Appends, connect, read_list
from harness.experiments.checkers import SetFull
from harness.experiments.controls import without_apply, without_undo
from harness.experiments.experiment import Budgets, Ending, Experiment, Live, Outcome, valid, watch_nothing
from harness.experiments.witness import disturbed
from harness.experiments.workload import Workload
from harness.faults import FAULTS, Fault, Injection, LinkFault
from harness.faults.connection_exhaustion import ConnectionExhaustion
from harness.faults.latency import Latency
from harness.model import Verdict
from harness.probes.answer import answers
from harness.probes.poll import NotYet

MAXCLIENTS = 20
QUICK = Budgets(witness=3.0, healed=2.5, recovery=15)
ONE_PER_FAMILY = {"kill", "latency", "disk_full"}
"""A service that dies, a link, a resource: in the fast lane. All of them by night."""
MILDER: dict[type[Fault], Callable[[], Fault]] = {
    ConnectionExhaustion: lambda: ConnectionExhaustion(MAXCLIENTS * 3),
    Latency: lambda: Latency(150),  # a new connection takes several exchanges, each of them late
}
EVERY = [
    pytest.param(fault, id=fault.name, marks=() if fault.name in ONE_PER_FAMILY else (pytest.mark.slow,))
    for fault in FAULTS
]


class Rig:
    """One Redis with a link, and an experiment on it that any fault disturbs: each write has its own connection."""

    def __init__(self, lone_redis: Any, run_experiment: Any, fault: type[Fault]) -> None:
        stack = lone_redis(REDIS_MAXCLIENTS=str(MAXCLIENTS))
        self.redis, self.link = stack["redis-primary"], stack.links["client"]
        self._run, self.fault = run_experiment, fault
        with connect(self.redis) as client:
            client.mset({f"ballast:{number}": "." * 1000 for number in range(1000)})

    def injection(self) -> Injection:
        """The fault on its target; the test is skipped where it cannot be had."""
        made = MILDER[self.fault]() if self.fault in MILDER else self.fault()
        target = self.link if issubclass(self.fault, LinkFault) else self.redis
        if reason := made.obstacle(target):
            pytest.skip(f"not verified: {reason}")
        return made.inject(target)

    def run(self, injection: Injection | None, name: str, observe: Callable[[Live], None] = watch_nothing) -> Outcome:
        """Writes of two hundred bytes through the link, each with a new connection."""
        through = self.link.endpoint

        def client() -> Any:
            return connect(self.redis, 1.0, through)

        outcome: Outcome = self._run(
            Experiment(
                name=f"{name}-{self.fault.name.replace('_', '-')}",
                steady=lambda: answers(through),
                workload=Workload("writer", lambda number: Appends(client, "log", number, True, 200)),
                fault=injection,
                witness=disturbed() if injection else None,
                observe=observe,
                final=read_list(lambda: connect(self.redis), "log"),
                checkers=(SetFull(),),
                budgets=QUICK,
            )
        )
        return outcome


@pytest.fixture
def rig(lone_redis: Any, run_experiment: Any, request: pytest.FixtureRequest) -> Rig:
    return Rig(lone_redis, run_experiment, request.getfixturevalue("fault"))


@pytest.mark.parametrize("fault", EVERY)
def test_the_real_fault_is_witnessed_and_undone(rig: Rig, fault: type[Fault]) -> None:
    """Bites, heals, loses nothing."""
    valid(rig.run(rig.injection(), "real"))


@pytest.mark.parametrize("fault", EVERY)
def test_with_the_fault_off_its_witness_sees_nothing(rig: Rig, fault: type[Fault]) -> None:
    """On the same services under the same workload: what is seen above comes from the fault."""
    rig.injection()

    def undisturbed(live: Live) -> None:
        before = live.history.operations
        live.for_seconds(QUICK.witness / 2)
        since = live.since()
        assert len(since) > 20
        with pytest.raises(NotYet):
            disturbed()(before, since)

    valid(rig.run(None, "off", undisturbed))


@pytest.mark.parametrize("fault", EVERY)
def test_an_injector_that_does_nothing_is_invalid(rig: Rig, fault: type[Fault]) -> None:
    """Not witnessed: never a pass, whatever the checkers say. And nothing has to be thrown away."""
    outcome = rig.run(without_apply(rig.injection()), "no-apply")
    assert (outcome.ending, outcome.verdict) == (Ending.NOT_WITNESSED, Verdict.INVALID), str(outcome)


@pytest.mark.parametrize("fault", EVERY)
def test_an_undo_that_does_nothing_discards_the_stack(rig: Rig, fault: type[Fault]) -> None:
    """What heals by itself is the exception: then the check finds it healed, rightly."""
    real = rig.injection()
    outcome = rig.run(without_undo(real), "no-undo")
    if real.heals_itself:
        valid(outcome)
        return
    assert (outcome.ending, outcome.discarded) == (Ending.UNDO_FAILED, True), str(outcome)
    if fault is ConnectionExhaustion:
        real.undo()  # the connections are ours, and outlive the stack
