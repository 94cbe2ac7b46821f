"""Redis as the broker of Celery: a real worker takes, retries, acknowledges; a killed worker's task is not lost.

Documents: Celery, "Using Redis" (visibility timeout), "Tasks" (`acks_late`, retrying), "Calling Tasks".
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from redis import Redis

from harness.keeper.client import RemoteStack
from harness.probes.poll import Deadline, NotYet, poll
from harness.services import kind_named

pytest.importorskip("celery", reason="celery is not installed")
from celery import Celery, chord  # type: ignore[import-untyped]

PROGRAM = Path(__file__).with_name("redis_celery_worker.py")
VISIBILITY = 1.5
"""Seconds after which an unacknowledged message counts as lost. Production takes longer than its longest task."""
PATIENCE = 15.0
"""Seconds that anything here may take; a worker needs one and a half to start."""

Answer = TypeVar("Answer")


class Bench:
    """A Celery application in a corner of Redis, and workers of it as processes, one per queue."""

    def __init__(self, stack: RemoteStack, redis: Redis, directory: Path) -> None:
        self.redis, self.name, self.directory = redis, f"t-{secrets.token_hex(6)}", directory
        self.prefix, endpoint = f"{self.name}:", stack["redis"].endpoint("redis")
        self.url = f"redis://:{stack['redis'].credentials['password'].reveal()}@{endpoint.address}/0"
        self.app = Celery("caller", broker=self.url, backend=self.url, set_as_current=False)
        self.app.conf.update(self.settings)
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def settings(self) -> dict[str, Any]:
        """Keys under the prefix, and lost messages looked for every second (by default every hundred)."""
        return {
            "broker_transport_options": {
                "global_keyprefix": self.prefix,
                "visibility_timeout": VISIBILITY,
                "unacked_restore_interval": 1,
                "unacked_restore_throttle": 1,
            },
            "result_backend_transport_options": {"global_keyprefix": self.prefix},
            "broker_connection_retry_on_startup": False,
            "worker_prefetch_multiplier": 1,
            "worker_hijack_root_logger": False,
            "result_expires": 600,
        }

    def start(self, queue: str) -> None:
        """A worker that serves this queue. Returns at once: tasks wait for it."""
        environment = {
            **os.environ,
            "WORKER_URL": self.url,
            "WORKER_PREFIX": self.prefix,
            "WORKER_QUEUE": queue,
            "WORKER_SETTINGS": json.dumps(self.settings),
        }
        with (self.directory / f"{queue}.log").open("wb") as log:
            command = (sys.executable, str(PROGRAM))
            self.workers[queue] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def kill(self, queue: str) -> None:
        """SIGKILL, and wait until it is gone."""
        self.workers[queue].kill()
        self.workers.pop(queue).wait(10)

    def send(self, task: str, *arguments: Any, queue: str = "main", **options: Any) -> Any:
        """Call a task by name; the answer's `get` waits for the result."""
        return self.app.send_task(task, arguments, queue=queue, **options)

    def serve(self, queue: str) -> None:
        """Have the worker `main` serve one more queue. A broadcast reaches who listens; it may not have started yet."""
        self.eventually(
            lambda: self.app.control.add_consumer(queue, destination=["main@test"], reply=True),
            bool,
            f"the worker main to serve {queue}",
        )

    def unacknowledged(self) -> list[str]:
        """The tasks whose messages workers hold, by id."""
        held = [json.loads(str(value)) for value in self.redis.hvals(self.prefix + "unacked")]
        return [message["headers"]["id"] for message, *_ in held]

    def entries(self, key: str) -> list[str]:
        """A list that tasks wrote."""
        return [str(entry) for entry in self.redis.lrange(self.prefix + key, 0, -1)]

    def eventually(self, question: Callable[[], Answer], wanted: Callable[[Answer], bool], what: str) -> Answer:
        """Ask until the answer is wanted. Raises NotReady with the last one and what the workers printed."""

        def asked() -> Answer:
            answer = question()
            if not wanted(answer):
                logs = {file.stem: file.read_text()[-300:] for file in self.directory.glob("*.log")}
                raise NotYet(f"{answer!r}; workers printed {logs}")
            return answer

        return poll(asked, Deadline.after(PATIENCE), what, interval=0.01)

    def close(self) -> None:
        """End the workers, then the application with what it leaves open: connections of its result backend."""
        for queue in list(self.workers):
            self.kill(queue)
        self.app.backend.result_consumer.stop()
        self.app.backend.client.connection_pool.disconnect()
        self.app.close()


@pytest.fixture(scope="module")
def bench(stack: RemoteStack, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Three workers, started together: `main`, and two that tests kill."""
    made = Bench(stack, redis, tmp_path_factory.mktemp("celery"))
    for queue in ("main", "late", "early"):
        made.start(queue)
    yield made
    made.close()
    kind_named("redis").close_namespace(stack["redis"], made.name)


def test_a_task_is_run_and_its_result_kept_for_a_while(bench: Bench) -> None:
    """The result is the function's, stored under `celery-task-meta-<id>` with `result_expires` as its time to live."""
    sent = bench.send("add", 2, 40)
    assert sent.get(timeout=PATIENCE) == 42
    key = f"{bench.prefix}celery-task-meta-{sent.id}"
    stored = json.loads(str(bench.redis.get(key)))
    assert (stored["status"], stored["result"], stored["task_id"]) == ("SUCCESS", 42, sent.id)
    assert 590 <= bench.redis.ttl(key) <= 600


def test_tasks_of_a_queue_run_once_each_in_the_order_sent(bench: Bench) -> None:
    """A queue is a list: one worker takes what was pushed first, and acknowledges each message once."""
    sent = [bench.send("note", "order", str(number)) for number in range(30)]
    for task in sent:
        task.get(timeout=PATIENCE)
    assert bench.entries("order") == [str(number) for number in range(30)]
    bench.eventually(bench.unacknowledged, lambda held: not held, "every message to be acknowledged")


def test_a_failing_task_is_tried_again_until_it_succeeds(bench: Bench) -> None:
    """`self.retry`: the message goes back to the queue with `retries` one higher, its id unchanged."""
    sent = bench.send("flaky", 2)
    assert sent.get(timeout=PATIENCE) == 2
    assert sent.state == "SUCCESS"


def test_a_task_that_never_succeeds_tells_its_caller_why(bench: Bench) -> None:
    """`max_retries`: after that the task fails with the last error, which `get` raises."""
    sent = bench.send("flaky", 99)
    with pytest.raises(ValueError, match="attempt 3 failed"):
        sent.get(timeout=PATIENCE)
    assert sent.state == "FAILURE"
    assert "attempt 3 failed" in sent.traceback


def test_a_delayed_task_waits_its_time(bench: Bench) -> None:
    """`countdown`: "a number of seconds into the future"; the task runs then or later, never earlier."""
    bench.send("add", 0, 0).get(timeout=PATIENCE)
    began = time.time()
    later, now = bench.send("note", "delay", "later", countdown=0.6), bench.send("note", "delay", "now")
    assert later.get(timeout=PATIENCE) - began >= 0.55
    assert now.get(timeout=PATIENCE) - began < 0.6
    assert bench.entries("delay") == ["now", "later"]


def test_a_message_waits_until_its_queue_is_served(bench: Bench) -> None:
    """Routing: a worker takes from its own queues only; `add_consumer` makes it serve one more."""
    waiting = bench.send("add", 1, 1, queue="unserved")
    assert bench.send("add", 2, 2).get(timeout=PATIENCE) == 4
    assert bench.redis.llen(bench.prefix + "unserved") == 1
    assert waiting.state == "PENDING"
    bench.serve("unserved")
    assert waiting.get(timeout=PATIENCE) == 2
    assert bench.redis.llen(bench.prefix + "unserved") == 0


def test_a_chord_is_called_back_with_every_result(bench: Bench) -> None:
    """Canvas, chords: the callback runs once, after all tasks of the header, with their results."""
    header = [bench.app.signature("add", args=(number, number), queue="main") for number in range(8)]
    sent = chord(header, app=bench.app)(bench.app.signature("total", queue="main"))
    assert sent.get(timeout=PATIENCE) == sum(2 * number for number in range(8))


def test_a_late_acknowledgement_comes_after_the_task(bench: Bench) -> None:
    """`acks_late`: "acknowledged after the task has been executed, not right before"."""
    bench.send("add", 0, 0).get(timeout=PATIENCE)
    sent = bench.send("hold-late", "ack")
    bench.eventually(lambda: bench.entries("ack:began"), bool, "the task to begin")
    assert sent.id in bench.unacknowledged()
    bench.redis.rpush(bench.prefix + "ack:release", "go")
    assert sent.get(timeout=PATIENCE) == "main"
    bench.eventually(bench.unacknowledged, lambda held: sent.id not in held, "the acknowledgement")


def test_a_killed_workers_task_is_run_by_another(bench: Bench) -> None:
    """Visibility timeout: a message not acknowledged within it is delivered again, and not before."""
    sent = bench.send("hold-late", "late", queue="late")
    bench.eventually(lambda: bench.entries("late:began"), bool, "the worker to take it")
    taken = time.monotonic()
    bench.kill("late")
    assert sent.id in bench.unacknowledged(), "the message of a killed worker is gone"
    bench.serve("late")
    bench.redis.rpush(bench.prefix + "late:release", "go")
    assert sent.get(timeout=PATIENCE) == "main"
    assert time.monotonic() - taken >= VISIBILITY - 0.2
    assert bench.entries("late:began") == ["late", "main"]
    assert bench.entries("late:done") == ["main"]


def test_without_late_acknowledgement_a_killed_workers_task_is_lost(bench: Bench) -> None:
    """The control of the test above: acknowledged before it ran, so nothing is left to deliver again."""
    sent = bench.send("hold-early", "early", queue="early")
    bench.eventually(lambda: bench.entries("early:began"), bool, "the worker to take it")
    bench.eventually(bench.unacknowledged, lambda held: sent.id not in held, "the acknowledgement")
    bench.kill("early")
    assert bench.redis.llen(bench.prefix + "early") == 0
    assert sent.state == "PENDING"
    assert bench.entries("early:began") == ["early"]
