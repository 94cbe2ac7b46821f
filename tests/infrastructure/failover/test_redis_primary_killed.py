"""The primary of a Redis under Sentinels crashes: a replica takes over, clients follow, nothing is lost."""

from __future__ import annotations

from typing import Any

from harness.experiments.actors.redis_calls import Appends, read_list
from harness.experiments.checkers import SetFull
from harness.experiments.experiment import Budgets, Experiment, Live, valid
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults.kill import Kill

DOWN_AFTER = 2.0
"""Seconds; `down-after-milliseconds` in compose/ha.yml."""
MAX_LAG = 2.0
"""Seconds; `min-replicas-max-lag` there."""
SAFE = {"REDIS_MIN_REPLICAS": "1"}
"""Without it, two Sentinels that promote one replica after the other cost every write until the first is demoted."""


def test_a_replica_takes_over_and_the_old_primary_follows_it(sentinels: Any, run_experiment: Any) -> None:
    """Served again within down-after + 3 s; nothing is lost but, at worst, what no replica had for max-lag.

    Source: redis.io, "High availability with Redis Sentinel".
    """
    stack, cluster = sentinels(variables=SAFE)

    def promoted(live: Live) -> None:
        live.until(lambda: cluster.moved_from("redis-primary"), DOWN_AFTER + 3, "a new primary")
        live.served_again(within=5)

    outcome = run_experiment(
        Experiment(
            name="redis-primary-killed",
            steady=cluster.steady,
            leads=cluster.leads(),
            workload=Workload("writer", lambda number: Appends(cluster.client, "log", number)),
            fault=Kill().inject(stack["redis-primary"]),
            witness=errors(5),
            observe=promoted,
            final=read_list(cluster.client, "log"),
            checkers=(SetFull(most_lost_seconds=MAX_LAG + 1),),
            budgets=Budgets(rto=DOWN_AFTER + 3, recovery=30),
        )
    )

    assert cluster.role("redis-primary") == "slave", "the old primary has to follow the new one"
    valid(outcome)


def test_without_a_fault_nobody_fails_over(sentinels: Any, run_experiment: Any) -> None:
    """The control: what is seen above comes from the fault."""
    _, cluster = sentinels()
    epoch = cluster.view_of("sentinel-1")["config-epoch"]

    def nothing_moves(live: Live) -> None:
        live.for_seconds(DOWN_AFTER * 3)

    outcome = run_experiment(
        Experiment(
            name="redis-no-fault",
            steady=cluster.steady,
            leads=cluster.leads(),
            workload=Workload("writer", lambda number: Appends(cluster.client, "log", number)),
            observe=nothing_moves,
            final=read_list(cluster.client, "log"),
            checkers=(SetFull(most_lost_seconds=MAX_LAG + 1),),
        )
    )

    valid(outcome)
    assert outcome.led_by == ("redis-primary",)
    assert cluster.view_of("sentinel-1")["config-epoch"] == epoch
