"""A Redis without replicas crashes under writes and comes back with all that it acknowledged, from its file."""

from __future__ import annotations

from typing import Any

from harness.experiments.actors.redis_calls import Appends, connect, read_list
from harness.experiments.checkers import SetFull
from harness.experiments.experiment import Budgets, Experiment, valid
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults.kill import Kill
from harness.faults.restart import Restart
from harness.faults.term import Term
from harness.probes.answer import answers

SERVED_AGAIN = 5.0


def survives(lone_redis: Any, run_experiment: Any, name: str, fault: Any) -> None:
    """Break it, undo, and read everything back."""
    redis = lone_redis()["redis-primary"]

    def client() -> Any:
        return connect(redis)

    valid(
        run_experiment(
            Experiment(
                name=name,
                steady=lambda: answers(redis.endpoint()),
                workload=Workload("writer", lambda number: Appends(client, "log", number)),
                fault=fault.inject(redis),
                witness=errors(1),
                final=read_list(client, "log"),
                checkers=(SetFull(),),
                budgets=Budgets(rto=SERVED_AGAIN),
            )
        )
    )


def test_sigkill_loses_nothing_that_was_acknowledged(lone_redis: Any, run_experiment: Any) -> None:
    """The kernel keeps what was written to the file; only a crash of the machine could cost the last second.

    Source: redis.io, "Redis persistence", "How durable is the append only file?".
    """
    survives(lone_redis, run_experiment, "redis-killed-aof", Kill())


def test_sigterm_loses_nothing(lone_redis: Any, run_experiment: Any) -> None:
    """An orderly stop flushes first. Source: redis.io, "Redis signal handling"."""
    survives(lone_redis, run_experiment, "redis-terminated-aof", Term())


def test_a_restart_loses_nothing(lone_redis: Any, run_experiment: Any) -> None:
    """As a deployment does it. Source: redis.io, "Redis persistence"."""
    survives(lone_redis, run_experiment, "redis-restarted-aof", Restart())
