"""The memory limit falls below what Redis holds: what happens then is the policy's choice, and reads always work."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiments.actors.redis_calls import Sets, connect
from harness.experiments.checkers import Deadline
from harness.experiments.experiment import Experiment, Live, valid
from harness.experiments.history import Result
from harness.experiments.witness import errors, fact
from harness.experiments.workload import Workload
from harness.faults.memory_pressure import MemoryPressure
from harness.probes.answer import answers
from harness.probes.poll import NotYet


def fill(client: Any) -> None:
    """Two megabytes without a time to live, and one key to read."""
    client.set("read me", "here")
    client.mset({f"ballast:{number}": "." * 1000 for number in range(2000)})


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru"])
def test_writes_are_refused_where_nothing_may_be_evicted(lone_redis: Any, run_experiment: Any, policy: str) -> None:
    """`noeviction`, and every volatile policy without keys that have a time to live, refuse writes and serve reads.

    Source: redis.io, "Key eviction", "Eviction policies".
    """
    redis = lone_redis()["redis-primary"]
    with connect(redis) as client:
        client.config_set("maxmemory-policy", policy)
        fill(client)

    def reads_work(live: Live) -> None:
        with connect(redis) as client:
            live.for_seconds(0.5)
            assert client.get("read me") == "here"
            assert client.delete("ballast:1") == 1, "freeing memory must stay possible"
        refused = [item for item in live.since() if not item.ok]
        assert {item.result for item in refused} == {Result.FAIL}

    valid(
        run_experiment(
            Experiment(
                name=f"redis-memory-{policy}",
                steady=lambda: answers(redis.endpoint()),
                workload=Workload("writer", lambda number: Sets(lambda: connect(redis), "k", number)),
                fault=MemoryPressure(share=0.7).inject(redis),
                witness=errors(5, "used memory > 'maxmemory'"),
                observe=reads_work,
                checkers=(Deadline(1.5),),
            )
        )
    )


def test_a_cache_evicts_and_goes_on(lone_redis: Any, run_experiment: Any) -> None:
    """`allkeys-lru`: no write fails, keys go, memory comes back under its limit. Source: redis.io, "Key eviction"."""
    redis = lone_redis()["redis-primary"]
    with connect(redis) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        fill(client)

    def evicted() -> str:
        with connect(redis) as client:
            count = client.info("stats")["evicted_keys"]
        if not count:
            raise NotYet("nothing evicted yet")
        return f"{count} keys evicted"

    def under_the_limit(live: Live) -> None:
        def ask() -> None:
            with connect(redis) as client:
                memory = client.info("memory")
            over = memory["used_memory"] - memory["mem_not_counted_for_evict"] - memory["maxmemory"]
            if over > 0:
                raise NotYet(f"{over} bytes over")

        live.until(ask, 5, "memory under its limit")
        assert all(item.ok for item in live.since()), [item.error for item in live.since() if not item.ok][:3]

    valid(
        run_experiment(
            Experiment(
                name="redis-memory-allkeys-lru",
                steady=lambda: answers(redis.endpoint()),
                workload=Workload("writer", lambda number: Sets(lambda: connect(redis), "k", number)),
                fault=MemoryPressure(share=0.7).inject(redis),
                witness=fact(evicted),
                observe=under_the_limit,
                checkers=(Deadline(1.5),),
            )
        )
    )
