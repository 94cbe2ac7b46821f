"""A consumer as a process of its own, so that it can be killed: `python redis_consumer.py queue|stream NAME`.

Takes one message at a time from `work`, works for 20 ms, notes it in the list `done`, acknowledges. Address and
password come from the environment.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import redis

WORK = 0.02
CLAIM_AFTER_MS = 300


def queue(client: Any, name: str) -> None:
    """The reliable queue: a message moves to a list of its consumer, and leaves it when it is done."""
    mine = f"working:{name}"
    while True:
        message = client.blmove("work", mine, 1, "LEFT", "RIGHT")
        if message is None:
            continue
        time.sleep(WORK)
        client.rpush("done", message)
        client.lrem(mine, 1, message)


def stream(client: Any, name: str) -> None:
    """A consumer group: first what a dead consumer left, then what is new."""
    while True:
        _, claimed, *_ = client.xautoclaim("work", "g", name, CLAIM_AFTER_MS, count=1)
        new = client.xreadgroup("g", name, {"work": ">"}, count=1, block=100) if not claimed else []
        entries = claimed or (next(iter(new))[1] if new else [])
        for identity, fields in entries:
            time.sleep(WORK)
            client.rpush("done", fields["message"])
            client.xack("work", "g", identity)


if __name__ == "__main__":
    connection = redis.Redis(
        port=int(os.environ["REDIS_PORT"]), password=os.environ["REDIS_PASSWORD"], decode_responses=True, protocol=2
    )
    {"queue": queue, "stream": stream}[sys.argv[1]](connection, sys.argv[2])
