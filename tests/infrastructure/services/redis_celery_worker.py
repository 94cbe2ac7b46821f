"""The worker that `test_redis_celery.py` starts as a process of its own; the environment has its settings."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from typing import Any

from celery import Celery  # type: ignore[import-untyped]
from redis import Redis

URL, PREFIX, QUEUE = os.environ["WORKER_URL"], os.environ["WORKER_PREFIX"], os.environ["WORKER_QUEUE"]
PR_SET_PDEATHSIG = 1

app = Celery("worker", broker=URL, backend=URL)
app.conf.update(json.loads(os.environ["WORKER_SETTINGS"]))
redis = Redis.from_url(URL, decode_responses=True)


def add(one: int, two: int) -> int:
    """What every queue can do."""
    return one + two


def total(numbers: list[int]) -> int:
    """The callback of a chord."""
    return sum(numbers)


def note(key: str, value: str) -> float:
    """Append to a list, so that the order of execution can be seen; returns when it ran."""
    redis.rpush(PREFIX + key, value)
    return time.time()


def flaky(self: Any, failures: int) -> int:
    """Fail that many times, then say at which attempt it succeeded."""
    if self.request.retries < failures:
        raise self.retry(exc=ValueError(f"attempt {self.request.retries} failed"), countdown=0)
    return int(self.request.retries)


def hold(key: str) -> str:
    """Say that it began, wait to be released, say that it is done."""
    redis.rpush(f"{PREFIX}{key}:began", QUEUE)
    redis.blpop([f"{PREFIX}{key}:release"], timeout=20)
    redis.rpush(f"{PREFIX}{key}:done", QUEUE)
    return QUEUE


for function in (add, total, note):
    app.task(name=function.__name__)(function)
app.task(name="flaky", bind=True, max_retries=3)(flaky)
app.task(name="hold-late", acks_late=True)(hold)
app.task(name="hold-early", acks_late=False)(hold)

if __name__ == "__main__":
    # Threads, not solo: a solo worker's loop stands still during a task, and acknowledges nothing before its end.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    plain = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["worker", "-P", "threads", "-c", "1", "-Q", QUEUE, "-n", f"{QUEUE}@test", "-l", "WARNING", *plain])
