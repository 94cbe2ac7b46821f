"""A background agent as platforms run them: takes jobs off a queue, says that it lives, takes over for the dead.

    AGENT_NAME=a1 AGENT_PREFIX=p AGENT_CONSUL_URL=http://127.0.0.1:8500 AGENT_REDIS_URL=redis://... python agent.py

Lists in Redis, each named with the prefix: `work`, `held:<agent>` (the reliable queue of LMOVE's documentation), `done`
(`<job> <agent>`). In Consul an instance `<prefix>-<agent>` of the service `<prefix>` with a TTL check. SIGTERM: the
job in hand is finished, the registration goes, the exit code is 0.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import consul
import redis

TTL = 2.0
"""Seconds without a heartbeat until Consul calls an agent critical; it beats three times as often."""
WATCH = 1
"""Seconds that one blocking query for the health of all agents may take."""


@dataclass(frozen=True)
class Settings:
    """What the environment says."""

    name: str
    prefix: str
    consul_url: str
    redis_url: str
    seconds: float

    @classmethod
    def from_environment(cls) -> Settings:
        """Raises KeyError for a variable that is not set."""
        name, prefix = os.environ["AGENT_NAME"], os.environ["AGENT_PREFIX"]
        consul_url, redis_url = os.environ["AGENT_CONSUL_URL"], os.environ["AGENT_REDIS_URL"]
        return cls(name, prefix, consul_url, redis_url, float(os.environ.get("AGENT_SECONDS", "0.01")))


class Agent:
    """One agent. `stopping` is set when it is to end after the job in hand."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.stopping = settings, threading.Event()
        self._redis: Any = redis.Redis.from_url(settings.redis_url, decode_responses=True, socket_timeout=10)
        self._id = f"{settings.prefix}-{settings.name}"

    def run(self) -> None:
        """Work until asked to stop."""
        with self._registered():
            for job in (self.beat, self.take_over):
                threading.Thread(target=self._again_and_again, args=(job,), daemon=True, name=job.__name__).start()
            self.requeue(self.settings.name)  # what an earlier life of this very agent held
            while not self.stopping.is_set():
                self.step()

    def step(self) -> None:
        """At most one job, from the queue to `done`. A job is noted and let go in one transaction."""
        mine = self.key(f"held:{self.settings.name}")
        job = self._redis.blmove(self.key("work"), mine, 0.5, "LEFT", "RIGHT")
        if job is None:
            return
        time.sleep(self.settings.seconds)  # the work itself
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.rpush(self.key("done"), f"{job} {self.settings.name}")
            pipe.lrem(mine, 1, job)
            pipe.execute()

    def beat(self) -> None:
        """Tell Consul that this agent lives, until it does not."""
        client = connect(self.settings.consul_url)
        while not self.stopping.wait(TTL / 3):
            client.agent.check.ttl_pass(f"service:{self._id}")

    def take_over(self) -> None:
        """Put back what agents hold whose heartbeat stopped. Several may do so at once: each job is moved once."""
        client, index = connect(self.settings.consul_url), None
        while not self.stopping.is_set():
            index, found = client.health.service(self.settings.prefix, index=index, wait=f"{WATCH}s")
            for entry in found:
                other = entry["Service"]["ID"]
                if other != self._id and any(check["Status"] == "critical" for check in entry["Checks"]):
                    self.requeue(other.removeprefix(f"{self.settings.prefix}-"))

    def _again_and_again(self, job: Callable[[], None]) -> None:
        """Neither job may end because Consul was away for a moment."""
        while not self.stopping.is_set():
            try:
                job()
            except (consul.ConsulException, redis.RedisError, OSError) as error:
                print(f"{job.__name__}: {type(error).__name__}: {error}", flush=True)
                self.stopping.wait(TTL / 3)

    def requeue(self, agent: str) -> None:
        """Everything that agent holds goes back to the head of the queue."""
        while self._redis.lmove(self.key(f"held:{agent}"), self.key("work"), "RIGHT", "LEFT") is not None:
            pass

    def key(self, name: str) -> str:
        """A name of this group of agents."""
        return f"{self.settings.prefix}:{name}"

    @contextmanager
    def _registered(self) -> Iterator[None]:
        client = connect(self.settings.consul_url)
        check = consul.Check.ttl(f"{TTL:.0f}s")
        client.agent.service.register(self.settings.prefix, self._id, check=check)
        client.agent.check.ttl_pass(f"service:{self._id}")
        try:
            yield
        finally:
            client.agent.service.deregister(self._id)


def connect(url: str) -> Any:
    """A client of Consul: bounded waits, nothing of the environment's proxies."""
    address = urlsplit(url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the library warns of its own parts, used or not
        client = consul.Consul(address.hostname, address.port, scheme=address.scheme)
    client.http.session.trust_env = False
    client.http.timeout = 10.0
    return client


def main() -> None:
    """Until SIGTERM."""
    agent = Agent(Settings.from_environment())
    signal.signal(signal.SIGTERM, lambda *_: agent.stopping.set())
    agent.run()


if __name__ == "__main__":
    main()
