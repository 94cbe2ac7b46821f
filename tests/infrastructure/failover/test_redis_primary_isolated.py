"""The primary is cut off from replicas and Sentinels, while a client of its own still reaches it: split brain.

All of them see it through one link; the client goes straight to it. Packets are swallowed, connections stay open.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiments.actors.redis_calls import Appends, connect, read_list
from harness.experiments.checkers import SetFull
from harness.experiments.experiment import Budgets, Experiment, Live, Outcome
from harness.experiments.witness import fact
from harness.experiments.workload import Workload
from harness.faults.link_down import LinkDown
from harness.model import LinkPlan, Verdict

DOWN_AFTER = 2.0
MAX_LAG = 2.0
PEERS = LinkPlan(
    "peers", "redis-primary", sources=("redis-replica-1", "redis-replica-2", "sentinel-1", "sentinel-2", "sentinel-3")
)


def isolated(sentinels: Any, run_experiment: Any, checker: SetFull, name: str, **more: Any) -> Outcome:
    """Cut the link to the peers for five seconds after a successor was made; read from whoever is primary then."""
    stack, cluster = sentinels(links=[PEERS], **more)
    old = stack["redis-primary"]
    behind_link = (stack.links["peers"].inside.host, stack.links["peers"].inside.port)

    def steady() -> None:
        cluster.known_as["redis-primary"] = behind_link
        cluster.steady()

    def no_replicas() -> str:
        return str(cluster.alone("redis-primary"))

    def promoted(live: Live) -> None:
        live.until(lambda: cluster.moved_from("redis-primary"), DOWN_AFTER + 4, "a new primary")
        live.for_seconds(5)

    outcome: Outcome = run_experiment(
        Experiment(
            name=name,
            steady=steady,
            leads=cluster.leads(),
            workload=Workload("faithful", lambda number: Appends(lambda: connect(old), "log", number), clients=1),
            fault=LinkDown().inject(stack.links["peers"]),
            witness=fact(no_replicas),
            observe=promoted,
            final=read_list(cluster.client, "log"),
            checkers=(checker,),
            budgets=Budgets(recovery=40, steady=30),
            warm_up=1,
            resumes=False,
        )
    )
    return outcome


@pytest.mark.slow
def test_known_truth_an_isolated_primary_without_min_replicas_loses_acknowledged_writes(
    sentinels: Any, run_experiment: Any
) -> None:
    """Everything that it acknowledged since the cut is gone when it comes back as a replica. The checker must say so.

    Source: redis.io, Sentinel, "Example 2": writes of the minority partition are lost for ever.
    """
    outcome = isolated(sentinels, run_experiment, SetFull(), "redis-known-truth-isolated")
    found = outcome.finding("set-full")
    assert found.verdict is Verdict.INVALID, str(outcome)
    assert found.details["lost"] > 100, str(outcome)
    assert found.details["lost_seconds"] > 4.0, str(outcome)


@pytest.mark.slow
def test_min_replicas_bounds_what_an_isolated_primary_can_lose(sentinels: Any, run_experiment: Any) -> None:
    """It stops taking writes within max-lag and a second. Source: redis.io, "Replication"."""
    outcome = isolated(
        sentinels,
        run_experiment,
        SetFull(most_lost_seconds=MAX_LAG + 1.0),
        "redis-min-replicas-isolated",
        variables={"REDIS_MIN_REPLICAS": "1"},
    )
    assert outcome.finding("set-full").verdict is Verdict.VALID, str(outcome)
