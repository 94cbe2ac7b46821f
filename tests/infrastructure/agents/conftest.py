"""Agents as processes of a test, in a corner of the shared Redis and Consul."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace
from harness.runtimes.child import Child

AGENT = Path(__file__).with_name("agent.py")
WORKED_OFF_WITHIN = 60.0
SEEN_WITHIN = 20.0
"""Seconds until Consul tells a change of an agent's health: the TTL of two, and a loaded machine."""


@dataclass(frozen=True)
class Agents:
    """A group of agents: their queue in Redis, their health in Consul, and how one more is started."""

    prefix: str
    redis: Any
    consul: Any
    launch: Callable[..., Child]

    def start(self, name: str, seconds: float = 0.01) -> Child:
        """One more agent, once Consul calls it passing."""
        child = self.launch(name, seconds)
        self.await_status(name, "passing")
        return child

    def add(self, jobs: Iterable[str]) -> None:
        """Put jobs at the end of the queue."""
        self.redis.rpush(f"{self.prefix}:work", *jobs)

    def held(self, name: str) -> list[str]:
        """What an agent has in hand."""
        return list(map(str, self.redis.lrange(f"{self.prefix}:held:{name}", 0, -1)))

    def done(self) -> list[tuple[str, str]]:
        """Every job that was done, by whom, in order."""
        lines = self.redis.lrange(f"{self.prefix}:done", 0, -1)
        return [(job, agent) for job, _, agent in (str(line).partition(" ") for line in lines)]

    def times_done(self) -> Counter[str]:
        """How often each job was done."""
        return Counter(job for job, _ in self.done())

    def forget_done(self) -> None:
        """Empty the list of jobs that were done."""
        self.redis.delete(f"{self.prefix}:done")

    def status(self, name: str) -> str:
        """Consul's word on an agent; empty when it knows none of that name."""
        _, found = self.consul.health.service(self.prefix)
        for entry in found:
            if entry["Service"]["ID"] == f"{self.prefix}-{name}":
                return str(next(check["Status"] for check in entry["Checks"] if check["ServiceID"]))
        return ""

    def await_status(self, name: str, status: str) -> None:
        """Until Consul calls an agent that."""

        def ask() -> None:
            if (found := self.status(name)) != status:
                raise NotYet(f"agent {name} is {found or 'not registered'!r}")

        poll(ask, Deadline.after(SEEN_WITHIN), f"agent {name} to be {status or 'gone'!r}")

    def await_holding(self, name: str) -> list[str]:
        """Until an agent has a job in hand: that job."""

        def ask() -> list[str]:
            if not (held := self.held(name)):
                raise NotYet("it holds nothing")
            return held

        return poll(ask, Deadline.after(SEEN_WITHIN), f"a job of agent {name}")

    def await_done(self, jobs: Iterable[str]) -> Counter[str]:
        """Until every one of these jobs was done: how often each was."""
        wanted = set(jobs)

        def ask() -> Counter[str]:
            done = self.times_done()
            if missing := wanted - done.keys():
                raise NotYet(f"{len(missing)} of {len(wanted)} jobs are not done")
            return done

        return poll(ask, Deadline.after(WORKED_OFF_WITHIN), "the queue to be worked off")


@pytest.fixture
def agents(stack: RemoteStack, redis: Any, consul: Any, namespace: Namespace, private_process: Any) -> Agents:
    """A group of agents of this test alone, none started yet."""
    of = {handle.kind: handle for handle in stack.values()}
    prefix, target = namespace.of("redis"), of["redis"]
    environment = {
        "AGENT_PREFIX": str(prefix).rstrip(":"),
        "AGENT_CONSUL_URL": of["consul"].endpoint("http").url,
        "AGENT_REDIS_URL": f"redis://:{target.credentials['password'].reveal()}@{target.endpoint('redis').address}",
    }

    def launch(name: str, seconds: float) -> Child:
        more = {"AGENT_NAME": name, "AGENT_SECONDS": str(seconds)}
        child: Child = private_process([sys.executable, str(AGENT)], environment=environment | more)
        return child

    return Agents(environment["AGENT_PREFIX"], redis, consul, launch)
