"""The primary hangs and comes back: an old primary that does not know of its successor, and what that costs.

The known truth that shows the checker's worth: without min-replicas Sentinel *does* lose acknowledged writes here.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiments.actors.redis_calls import Appends, connect, read_list
from harness.experiments.checkers import SetFull
from harness.experiments.experiment import Budgets, Experiment, Live, Outcome, valid
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults.pause import Pause
from harness.model import Verdict

DOWN_AFTER = 2.0
MAX_LAG = 2.0
"""Seconds; `min-replicas-max-lag` in compose/ha.yml. Replicas report once a second, and are counted once a second."""


@pytest.mark.slow
def test_a_hung_primary_is_replaced_and_clients_of_sentinel_lose_nothing(sentinels: Any, run_experiment: Any) -> None:
    """Silence is enough, no refused connection is needed. Source: redis.io, Sentinel, "SDOWN and ODOWN"."""
    stack, cluster = sentinels(variables={"REDIS_MIN_REPLICAS": "1"})

    def promoted(live: Live) -> None:
        live.until(lambda: cluster.moved_from("redis-primary"), DOWN_AFTER + 3, "a new primary")
        live.served_again(within=5)

    valid(
        run_experiment(
            Experiment(
                name="redis-primary-paused",
                steady=cluster.steady,
                leads=cluster.leads(),
                workload=Workload("writer", lambda number: Appends(cluster.client, "log", number)),
                fault=Pause().inject(stack["redis-primary"]),
                witness=errors(2),
                observe=promoted,
                final=read_list(cluster.client, "log"),
                checkers=(SetFull(most_lost_seconds=MAX_LAG + 1),),
                budgets=Budgets(rto=DOWN_AFTER + 3, recovery=30),
            )
        )
    )


def paused_with_a_faithful_client(
    sentinels: Any, run_experiment: Any, checker: SetFull, name: str, **more: Any
) -> Outcome:
    """A client that never asks Sentinel goes on writing to the old primary when it wakes up."""
    stack, cluster = sentinels(**more)
    old = stack["redis-primary"]

    def promoted(live: Live) -> None:
        live.until(lambda: cluster.moved_from("redis-primary"), DOWN_AFTER + 3, "a new primary")

    outcome: Outcome = run_experiment(
        Experiment(
            name=name,
            steady=cluster.steady,
            leads=cluster.leads(),
            workload=Workload("faithful", lambda number: Appends(lambda: connect(old), "log", number), clients=1),
            fault=Pause().inject(old),
            witness=errors(1),
            observe=promoted,
            final=read_list(cluster.client, "log"),
            checkers=(checker,),
            budgets=Budgets(recovery=40),
            warm_up=1,
            resumes=False,
        )
    )
    return outcome


@pytest.mark.slow
def test_known_truth_a_woken_primary_without_min_replicas_loses_acknowledged_writes(
    sentinels: Any, run_experiment: Any
) -> None:
    """It takes writes until a Sentinel demotes it, ten seconds later, and they are gone. The checker must say so, with
    count and window. Source: redis.io, Sentinel, "Example 2: basic setup with three boxes"."""
    outcome = paused_with_a_faithful_client(sentinels, run_experiment, SetFull(), "redis-known-truth-paused")
    found = outcome.finding("set-full")
    assert found.verdict is Verdict.INVALID, str(outcome)
    assert found.details["lost"] > 50, str(outcome)
    assert 2.0 < found.details["lost_seconds"] < 15.0, str(outcome)


@pytest.mark.slow
def test_min_replicas_bounds_what_a_woken_primary_can_lose(sentinels: Any, run_experiment: Any) -> None:
    """It refuses writes as soon as no replica has reported for min-replicas-max-lag seconds.

    Source: redis.io, "Replication", "Allow writes only with N attached replicas".
    """
    checker = SetFull(most_lost_seconds=MAX_LAG + 1.0)
    outcome = paused_with_a_faithful_client(
        sentinels, run_experiment, checker, "redis-min-replicas-paused", variables={"REDIS_MIN_REPLICAS": "1"}
    )
    assert outcome.finding("set-full").verdict is Verdict.VALID, str(outcome)
