"""One edge of several is cut one way: one client's way to one server. Nobody else notices, nobody new is elected, and
what the cut-off client wrote without an answer is neither believed lost nor believed done."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiments.actors.consul_cluster import WritesKeys, call, read_keys
from harness.experiments.checkers import LinearizableRegister, OfKey, SetFull
from harness.experiments.experiment import Budgets, Experiment, Live, valid
from harness.experiments.history import Operation, Result
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults.partial_partition import PartialPartition
from harness.model import LinkPlan

EDGE = LinkPlan("edge", "consul-server-1", "http")
CUT_OFF, OTHER = "writer-0", "writer-1"


def unanswered(live: Live) -> list[Operation]:
    """Writes that the cut-off client sent since the fault and nobody answered."""
    return [item for item in live.since() if item.client == CUT_OFF and item.kind == "add" and not item.ok]


@pytest.mark.parametrize("stream", [pytest.param("upstream", marks=pytest.mark.slow), "downstream"])
def test_only_the_client_behind_the_cut_edge_suffers(consuls: Any, run_experiment: Any, stream: str) -> None:
    """Cut towards the server its writes never happen; cut towards the client they do, and no answer says so.

    Source: Consul, "Consensus protocol": a server's answer is sent after a majority has the write.
    """
    stack, cluster = consuls(links=[EDGE])
    leader, edge = cluster.leader(), stack.links["edge"]
    straight = stack["consul-server-2"].endpoint("http")

    def only_one_suffers(live: Live) -> None:
        live.for_seconds(3)
        others = [item for item in live.since() if item.client == OTHER]
        assert len(others) > 20
        assert all(item.ok for item in others), [item.error for item in others if not item.ok][:3]
        lost = unanswered(live)
        assert {item.result for item in lost} == {Result.INFO}, "nobody can know whether they happened"
        stored = {key.removeprefix("log/") for key in call(straight, "/v1/kv/log/?keys&consistent").json()}
        happened = [item.value for item in lost if item.value in stored]
        assert bool(happened) == (stream == "downstream"), happened

    outcome = valid(
        run_experiment(
            Experiment(
                name=f"consul-partial-partition-{stream}",
                steady=cluster.steady,
                leads=cluster.leads(),
                workload=Workload(
                    "writer",
                    lambda number: WritesKeys(edge.endpoint if number == 0 else straight, number),
                    interval=0.02,
                ),
                fault=PartialPartition(stream=stream).inject(edge),
                witness=errors(1, "timed out"),
                observe=only_one_suffers,
                final=read_keys(straight),
                checkers=(OfKey("log", SetFull()), OfKey("register", LinearizableRegister())),
                budgets=Budgets(recovery=20, steady=40),
            )
        )
    )
    assert outcome.led_by == (leader,), "a client's trouble is no reason to elect anybody"
