"""The leading Consul server crashes or hangs: another one leads, and every acknowledged write is there."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiments.actors.consul_cluster import WritesKeys, read_keys
from harness.experiments.checkers import LinearizableRegister, OfKey, SetFull
from harness.experiments.experiment import Budgets, Experiment, Live, valid
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults import Fault
from harness.faults.kill import Kill
from harness.faults.pause import Pause

NEW_LEADER = 10.0
"""Seconds. With `raft_multiplier` 1 it takes two to four; a loaded machine may need a second election."""


@pytest.mark.parametrize(
    "fault", [pytest.param(Kill(), id="killed"), pytest.param(Pause(), id="paused", marks=pytest.mark.slow)]
)
def test_another_server_leads_and_acknowledged_writes_are_there(
    consuls: Any, run_experiment: Any, fault: Fault
) -> None:
    """Writes are acknowledged after a majority has them. Source: Consul, "Consensus protocol"; "Server performance"."""
    stack, cluster = consuls()
    before = cluster.leader()

    def elected(live: Live) -> None:
        live.until(lambda: cluster.moved_from(before), NEW_LEADER, "a new leader")
        live.served_again(within=NEW_LEADER)

    valid(
        run_experiment(
            Experiment(
                name=f"consul-leader-{fault.name}",
                steady=cluster.steady,
                leads=cluster.leads(),
                workload=Workload("writer", lambda number: WritesKeys(cluster.agent, number), interval=0.01),
                fault=fault.inject(stack[before]),
                witness=errors(1),
                observe=elected,
                final=read_keys(cluster.agent),
                checkers=(OfKey("log", SetFull()), OfKey("register", LinearizableRegister())),
                budgets=Budgets(rto=NEW_LEADER, recovery=40, steady=40),
            )
        )
    )


def test_without_a_fault_the_leader_stays(consuls: Any, run_experiment: Any) -> None:
    """The control: elections seen above come from the fault."""
    _, cluster = consuls()
    before = cluster.leader()
    outcome = valid(
        run_experiment(
            Experiment(
                name="consul-no-fault",
                steady=cluster.steady,
                leads=cluster.leads(),
                workload=Workload("writer", lambda number: WritesKeys(cluster.agent, number), interval=0.01),
                observe=lambda live: live.for_seconds(3),
                final=read_keys(cluster.agent),
                checkers=(OfKey("log", SetFull()), OfKey("register", LinearizableRegister())),
                budgets=Budgets(steady=40),
            )
        )
    )
    assert outcome.led_by == (before,)
