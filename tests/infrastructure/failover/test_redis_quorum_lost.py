"""Two of three Sentinels are gone, then the primary: nobody may be promoted without a majority."""

from __future__ import annotations

from typing import Any

from harness.experiments.actors.redis_calls import Appends, read_list
from harness.experiments.checkers import SetFull
from harness.experiments.experiment import Budgets, Experiment, Live, valid
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults.base import together
from harness.faults.kill import Kill
from harness.probes.poll import NotYet

DOWN_AFTER = 2.0


def test_one_sentinel_of_three_promotes_nobody(sentinels: Any, run_experiment: Any) -> None:
    """A quorum starts a failover, a majority must authorise it. Source: redis.io, Sentinel, "Quorum"."""
    stack, cluster = sentinels()
    epoch = cluster.view_of("sentinel-1")["config-epoch"]

    def stays(live: Live) -> None:
        def seen_down() -> None:
            if "s_down" not in cluster.view_of("sentinel-1")["flags"]:
                raise NotYet("the last Sentinel has not noticed yet")

        live.until(seen_down, DOWN_AFTER + 5, "the last Sentinel to see the primary down")

        def nobody() -> None:
            assert cluster.role("redis-replica-1") == cluster.role("redis-replica-2") == "slave"
            assert cluster.view_of("sentinel-1")["config-epoch"] == epoch, "there was a failover"

        live.for_seconds(DOWN_AFTER * 4, nobody)

    valid(
        run_experiment(
            Experiment(
                name="redis-quorum-lost",
                steady=cluster.steady,
                leads=cluster.leads(),
                workload=Workload("writer", lambda number: Appends(cluster.client, "log", number)),
                fault=together(*(Kill().inject(stack[name]) for name in ("sentinel-2", "sentinel-3", "redis-primary"))),
                witness=errors(5),
                observe=stays,
                final=read_list(cluster.client, "log"),
                checkers=(SetFull(),),
                budgets=Budgets(recovery=40),
            )
        )
    )
