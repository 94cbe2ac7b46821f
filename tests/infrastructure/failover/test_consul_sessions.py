"""Locks of Consul sessions: they pass on when the holder's node dies, after the lock-delay and never before; they stay
when only the leader dies."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiments.actors.consul_cluster import Locks, holder, make_session
from harness.experiments.checkers import MutualExclusion, NeverChanges
from harness.experiments.experiment import Budgets, Experiment, Live, valid
from harness.experiments.history import Operation, Result
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults.kill import Kill
from harness.probes.http import ask
from harness.probes.poll import NotYet

LOCK_DELAY = 3.0
NOTICED = 30.0
"""Seconds in which gossip must have found a dead node; it takes five to fifteen."""


def contenders(cluster: Any, stack: Any) -> Workload:
    """The first holds the lock with a session on the agent's node; the other asks a server for it all the time."""
    server = stack["consul-server-1"].endpoint("http")
    mine = make_session(cluster.agent, LockDelay=f"{LOCK_DELAY:g}s", Behavior="release")
    other = make_session(server, LockDelay=f"{LOCK_DELAY:g}s", Behavior="release")
    first = Locks(cluster.agent, 0, mine)
    first.held = _take(cluster.agent, mine)
    second = Locks(server, 1, other)
    return Workload("contender", lambda number: (first, second)[number], interval=0.02)


def _take(endpoint: Any, session: str) -> bool:
    return bool(ask(endpoint, f"/v1/kv/lock?acquire={session}", "PUT", session.encode()).json())


@pytest.mark.slow
def test_a_lock_passes_on_after_its_delay_when_the_holders_node_dies(consuls: Any, run_experiment: Any) -> None:
    """Source: Consul, "Sessions", "Session design": a failed node invalidates its sessions; `LockDelay` protects what
    the dead holder may still have under way."""
    stack, cluster = consuls()
    holds = contenders(cluster, stack)
    mine = holder(cluster.agent, "lock")

    def passed_on(live: Live) -> None:
        died = live.fault_at
        # What the holder did before it died, for the checker: it has the lock from the start.
        live.history.append(Operation("acquire", "contender-0", "lock", mine, Result.OK, 0.0, 0.0))
        live.history.append(Operation("die", "contender-0", "lock", None, Result.OK, died, died))

        def taken() -> None:
            if not any(item.kind == "acquire" and item.ok for item in live.since()):
                raise NotYet("the other one does not have it yet")

        live.until(taken, NOTICED + LOCK_DELAY, "the lock to pass on")

    valid(
        run_experiment(
            Experiment(
                name="consul-lock-holder-killed",
                steady=cluster.steady,
                leads=cluster.leads(),
                workload=holds,
                fault=Kill().inject(stack["consul-client"]),
                witness=errors(5),
                observe=passed_on,
                checkers=(MutualExclusion(delay=LOCK_DELAY),),
                budgets=Budgets(recovery=40, steady=40),
                warm_up=1,
            )
        )
    )


def test_a_lock_survives_the_leaders_death(consuls: Any, run_experiment: Any) -> None:
    """Sessions are replicated; a change of leader only restarts their timers. Source: Consul, "Sessions"."""
    stack, cluster = consuls()
    before = cluster.leader()
    agent_session = make_session(cluster.agent, LockDelay="0s", TTL="60s", Behavior="release")
    assert _take(cluster.agent, agent_session)
    first = Locks(cluster.agent, 0, agent_session)
    first.held = True

    def still_held(live: Live) -> None:
        live.until(lambda: cluster.moved_from(before), 15, "a new leader")

        def ask_holder() -> str:
            found = holder(cluster.agent, "lock")
            assert found == agent_session, f"the lock went to {found or 'nobody'}"
            return found

        live.until(ask_holder, 10, "an answer about the lock")
        live.for_seconds(1, lambda: None)

    outcome = run_experiment(
        Experiment(
            name="consul-lock-leader-killed",
            steady=cluster.steady,
            leads=cluster.leads(),
            workload=Workload("holder", lambda number: first, clients=1, interval=0.02),
            fault=Kill().inject(stack[before]),
            witness=errors(1),
            observe=still_held,
            checkers=(NeverChanges("look"),),
            budgets=Budgets(recovery=40, steady=40),
        )
    )
    valid(outcome)
