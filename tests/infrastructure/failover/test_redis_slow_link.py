"""The way to Redis is slow, or swallows everything: callers keep their own deadline, and go on when it is over."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiments.actors.redis_calls import Appends, connect, read_list
from harness.experiments.checkers import Deadline, SetFull
from harness.experiments.experiment import Experiment, Live, valid
from harness.experiments.history import Result
from harness.experiments.witness import Witness, errors, slower
from harness.experiments.workload import Workload
from harness.faults import Fault
from harness.faults.blackhole import Blackhole
from harness.faults.latency import Latency
from harness.faults.partial_partition import PartialPartition
from harness.faults.slow_dependency import SlowDependency
from harness.probes.answer import answers

DEADLINE = 0.5
"""Seconds that the client allows a call."""
SLACK = 0.5
"""Seconds in which a loaded machine must have noticed."""


CASES: dict[str, tuple[Fault, Witness, set[Result]]] = {
    "latency-within-deadline": (Latency(milliseconds=200), slower(0.15), {Result.OK}),
    "slow-dependency": (SlowDependency(), errors(3, "Timeout"), {Result.INFO}),
    "blackhole": (Blackhole(), errors(3, "Timeout"), {Result.INFO}),
    "answers-lost": (PartialPartition(stream="downstream"), errors(3, "Timeout"), {Result.INFO}),
    "requests-lost": (PartialPartition(stream="upstream"), errors(3, "Timeout"), {Result.INFO}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_call_is_over_at_its_deadline_and_the_next_one_works_after_healing(
    lone_redis: Any, run_experiment: Any, name: str
) -> None:
    """No call hangs, none is believed to have failed that may have happened, none is done twice by a hidden retry.

    Source: redis.io, clients, "Client timeouts"; a timed-out write may have been done.
    """
    fault, witness, expected = CASES[name]
    stack = lone_redis()
    redis, link = stack["redis-primary"], stack.links["client"]

    def ended_as_expected(live: Live) -> None:
        live.for_seconds(1.0)
        sent = [item for item in live.since() if item.started >= live.applied_at]
        assert {item.result for item in sent} <= expected, [item.error for item in sent]

    valid(
        run_experiment(
            Experiment(
                name=f"redis-{name}",
                steady=lambda: answers(link.endpoint),
                workload=Workload(
                    "writer", lambda number: Appends(lambda: connect(redis, DEADLINE, link.endpoint), "log", number)
                ),
                fault=fault.inject(link),
                witness=witness,
                observe=ended_as_expected,
                final=read_list(lambda: connect(redis), "log"),
                checkers=(SetFull(), Deadline(DEADLINE + SLACK)),
            )
        )
    )
