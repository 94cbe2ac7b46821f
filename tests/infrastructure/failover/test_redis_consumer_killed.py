"""A consumer is killed in the middle of its work: what it held is delivered to another one, nothing is lost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from harness.experiments.actors.redis_calls import Appends, RedisActor, connect, read_list
from harness.experiments.checkers import SetFull
from harness.experiments.experiment import Experiment, Live, valid
from harness.experiments.witness import fact
from harness.experiments.workload import Record, Workload
from harness.faults.base import Injection
from harness.keeper.client import RemoteHandle
from harness.probes.answer import answers
from harness.probes.poll import Deadline, NotYet, poll

CONSUMER = Path(__file__).with_name("redis_consumer.py")
REDELIVERED = 10.0


class AddsToStream(RedisActor):
    """Records `add`: one entry of the stream."""

    def step(self, number: int, record: Record) -> None:
        """One message."""
        message = f"{self.number}-{number}"
        record("add", "work", message, lambda: self.client.xadd("work", {"message": message}))


def requeue(client: Any, dead: str) -> None:
    """What a supervisor does with the list of a consumer that is gone."""
    while client.lmove(f"working:{dead}", "work", "RIGHT", "LEFT") is not None:
        pass


def held_by(client: Any, mode: str, name: str) -> list[Any]:
    """What a consumer has taken and not acknowledged."""
    if mode == "queue":
        return list(client.lrange(f"working:{name}", 0, -1))
    return list(client.xpending_range("work", "g", "-", "+", 10, consumername=name))


def _lag(client: Any) -> int:
    """Entries of the stream that no consumer has been given yet."""
    return int(client.xinfo_groups("work")[0]["lag"] or 0)


@pytest.mark.parametrize("mode", ["queue", "stream"])
def test_what_a_killed_consumer_held_is_done_by_another(
    lone_redis: Any, run_experiment: Any, private_process: Any, mode: str
) -> None:
    """At least once: every acknowledged message is done, some may be done twice.

    Source: redis.io, LMOVE, "Pattern: reliable queue"; XAUTOCLAIM.
    """
    redis: RemoteHandle = lone_redis()["redis-primary"]
    environment = {
        "REDIS_PORT": str(redis.endpoint().port),
        "REDIS_PASSWORD": redis.credentials["password"].reveal(),
    }
    with connect(redis) as client:
        if mode == "stream":
            client.xgroup_create("work", "g", mkstream=True)

    def consumer(name: str) -> Any:
        return private_process([sys.executable, str(CONSUMER), mode, name], environment=environment)

    first, _ = consumer("first"), consumer("second")

    def killed_while_holding() -> str:
        """Alive it would let go within milliseconds; what it holds now stays with it."""
        if first.alive:
            raise NotYet("the first consumer lives")
        with connect(redis) as client:
            held = held_by(client, mode, "first")
        if not held:
            raise NotYet("it held nothing when it died")
        return f"the first consumer is dead and holds {held[0]}"

    def kill_while_holding() -> None:
        with connect(redis) as client:
            while True:
                first.pause()
                if held_by(client, mode, "first"):
                    break
                first.resume()
        first.kill()

    def redelivered(live: Live) -> None:
        with connect(redis) as client:
            if mode == "queue":
                requeue(client, "first")

            def ask() -> None:
                if held_by(client, mode, "first"):
                    raise NotYet("it is still with the dead one")

            live.until(ask, REDELIVERED, "redelivery")

    def alive() -> None:
        if not first.alive:
            raise NotYet("the first consumer is not back")

    def drained() -> None:
        with connect(redis) as client:
            added, done = client.get("added"), set(client.lrange("done", 0, -1))
            if mode == "queue":
                left = sum(map(client.llen, ("work", "working:first", "working:second")))
            else:
                left = client.xpending("work", "g")["pending"] + _lag(client)
        if left or added is None:
            raise NotYet(f"{left} messages left, {len(done)} done")

    def producer(number: int) -> Any:
        return (
            Appends(lambda: connect(redis), "work", number)
            if mode == "queue"
            else AddsToStream(lambda: connect(redis), number)
        )

    def final(record: Record) -> None:
        with connect(redis) as client:
            client.set("added", 1)
        poll(drained, Deadline.after(30), "the queue to be empty")
        read_list(lambda: connect(redis), "done")(record)

    valid(
        run_experiment(
            Experiment(
                name=f"redis-{mode}-consumer-killed",
                steady=lambda: answers(redis.endpoint()),
                workload=Workload("producer", producer, clients=1, interval=0.02),
                fault=Injection(f"kill a {mode} consumer", kill_while_holding, first.launch, alive),
                witness=fact(killed_while_holding),
                observe=redelivered,
                final=final,
                checkers=(SetFull(at_least_once=True),),
            )
        )
    )
