"""Two of three Consul servers crash, then all of them: no writes without a majority, and nothing lost."""

from __future__ import annotations

from typing import Any

from harness.experiments.actors.consul_cluster import WritesKeys, read_keys
from harness.experiments.checkers import LinearizableRegister, OfKey, SetFull
from harness.experiments.experiment import Budgets, Experiment, Live, valid
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults.base import together
from harness.faults.kill import Kill
from harness.probes.http import ask
from harness.probes.poll import NotYet

BACK = 30.0


def experiment(cluster: Any, **more: Any) -> Experiment:
    """What both stories share."""
    return Experiment(
        steady=cluster.steady,
        leads=cluster.leads(),
        workload=Workload("writer", lambda number: WritesKeys(cluster.agent, number), interval=0.01),
        witness=errors(5),
        final=read_keys(cluster.agent),
        checkers=(OfKey("log", SetFull()), OfKey("register", LinearizableRegister())),
        budgets=Budgets(recovery=BACK, steady=40),
        **more,
    )


def test_without_a_quorum_stale_reads_still_answer_and_say_that_they_are_stale(
    consuls: Any, run_experiment: Any
) -> None:
    """Source: Consul, "Consistency modes": `stale` lets any server answer; X-Consul-KnownLeader is false then."""
    stack, cluster = consuls()
    survivor, *others = stack["consul-server-1"], stack["consul-server-2"], stack["consul-server-3"]
    http = survivor.endpoint("http")

    def only_stale(live: Live) -> None:
        def leaderless() -> None:
            answer = ask(http, "/v1/kv/log/?keys&stale")
            if answer.status != 200 or answer.headers["x-consul-knownleader"] != "false":
                raise NotYet(f"{answer.status}, known leader {answer.headers.get('x-consul-knownleader')}")

        live.until(leaderless, 10, "a stale read without a leader")
        assert ask(http, "/v1/status/leader").json() == ""
        began = live.history.clock()
        live.for_seconds(2)
        written = [item for item in live.history.since(began) if item.kind == "add" and item.ok]
        assert written == [], "a write was acknowledged without a majority"

    valid(
        run_experiment(
            experiment(
                cluster,
                name="consul-quorum-lost",
                fault=together(*(Kill().inject(other) for other in others)),
                observe=only_stale,
            )
        )
    )


def test_all_servers_crash_and_come_back_with_everything(consuls: Any, run_experiment: Any) -> None:
    """The log is on disk before a write is acknowledged. Source: Consul, "Consensus protocol", "Durability"."""
    stack, cluster = consuls()
    valid(
        run_experiment(
            experiment(
                cluster,
                name="consul-all-crash",
                fault=together(*(Kill().inject(stack[name]) for name in cluster.servers)),
                observe=lambda live: live.for_seconds(1),
            )
        )
    )
