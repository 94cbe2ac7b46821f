"""Start, stop, kill, recreate: order, data, limits and health, on stacks of the test's own."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_client
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness.keeper.client import RemoteStack
from harness.probes.poll import Deadline, NotYet, poll
from harness.services.otel_client import CollectorClient

IMAGE = "image"
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


@pytest.fixture
def redis_image(engine: Any) -> str:
    """The image that the shared stack's Redis runs."""
    return str(engine.inspect("redis")["Config"]["Image"])


def quick_redis(image: str, **more: Any) -> dict[str, Any]:
    """A Redis that is healthy within half a second and unhealthy a second after it stops answering."""
    health = {"test": ["CMD-SHELL", "redis-cli ping | grep -q PONG"], "interval": "200ms", "timeout": "500ms",
              "retries": 2}  # fmt: skip
    command = ["redis-server", "--appendonly", "yes"]
    return {"image": image, "x-harness": {"kind": "redis"}, "command": command, "healthcheck": health, **more}


def client_of(service: dict[str, Any]) -> redis_client.Redis:
    """A client of a service in `harness status --json`."""
    host, port = service["endpoints"]["redis"].removeprefix("redis://").split(":")
    return redis_client.Redis(host, int(port), decode_responses=True, socket_timeout=3, retry=Retry(NoBackoff(), 0))


def health_of(up: Any, name: str, wanted: str) -> None:
    """Wait until the engine says so."""

    def ask() -> None:
        status = up.engine.inspect(name)["State"]["Health"]["Status"]
        if status != wanted:
            raise NotYet(str(status))

    poll(ask, Deadline.after(20), f"{name} {wanted}")


def test_a_frozen_service_turns_unhealthy_and_healthy_again(
    up: Callable[..., Any], redis_image: str, stack: RemoteStack
) -> None:
    """The engine's health check notices a server that hangs, and its recovery. Source: Engine API, `Health`."""
    if stack.elsewhere:
        pytest.skip("not verified: the service's process is on another machine; its number here is another's")
    mine = up({"services": {"cache": quick_redis(redis_image)}})
    health_of(mine, "cache", "healthy")
    pid = mine.engine.inspect("cache")["State"]["Pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        health_of(mine, "cache", "unhealthy")
    finally:
        os.kill(pid, signal.SIGCONT)
    health_of(mine, "cache", "healthy")


def test_a_service_starts_only_after_what_it_needs_is_ready(up: Callable[..., Any], redis_image: str) -> None:
    """`depends_on` is start order: the dependant's process begins after the other answers.

    Source: Compose specification, `depends_on`, condition `service_healthy`.
    """
    late = quick_redis(redis_image, command=["sh", "-c", "sleep 1; exec redis-server --protected-mode no"])
    front = quick_redis(redis_image, depends_on={"base": {"condition": "service_healthy"}})
    stack = up({"services": {"front": front, "base": late}})
    begun = {name: stack.engine.inspect(name)["State"]["StartedAt"] for name in ("front", "base")}
    assert stack.services["base"]["seconds_to_ready"] >= 1.0
    assert begun["front"] > begun["base"]
    gap = _seconds(begun["front"]) - _seconds(begun["base"])
    assert gap >= 1.0, f"front began {gap:.2f} s after base, which needs a second to answer"


def test_services_stop_in_the_reverse_order(up: Callable[..., Any], redis_image: str) -> None:
    """What depends on others stops first, so that it can still reach them. Source: Compose, `down`."""
    services = {
        "base": quick_redis(redis_image),
        "middle": quick_redis(redis_image, depends_on=["base"]),
        "front": quick_redis(redis_image, depends_on=["middle"]),
    }
    stack = up({"services": services})
    since = f"{time.time() - 1:.3f}"
    stack.end()
    label = f"label=dev.infra-harness.run={stack.run}"
    text = stack.engine.docker(
        "events", "--since", since, "--until", f"{time.time():.3f}", "--filter", "event=die", "--filter", label,
        "--format", "{{json .}}",
    )  # fmt: skip
    died = [json.loads(line)["Actor"]["Attributes"]["dev.infra-harness.service"] for line in text.splitlines()]
    assert died == ["front", "middle", "base"]


def test_data_on_a_volume_survives_kill_and_restart(up: Callable[..., Any], redis_image: str) -> None:
    """An acknowledged write is there after SIGKILL and a new start of the same container, on the same address."""
    stack = up(
        {"services": {"store": quick_redis(redis_image, volumes=["store-data:/data"])}, "volumes": {"store-data": {}}}
    )
    client = client_of(stack.services["store"])
    client.set("kept", "yes")
    stack.engine.docker("kill", stack.engine.container("store"))
    with pytest.raises(redis_client.ConnectionError):
        client.get("kept")
    stack.engine.docker("start", stack.engine.container("store"))

    def ask() -> object:
        try:
            return client.get("kept")
        except redis_client.RedisError as error:
            raise NotYet(str(error)) from error

    assert poll(ask, Deadline.after(15), "redis after restart") == "yes"


def test_nothing_of_a_stack_is_left_after_down(up: Callable[..., Any], redis_image: str) -> None:
    """Containers, network, volumes and leases are gone when `harness down` returns."""
    stack = up({"services": {"store": quick_redis(redis_image, volumes=["d:/data"])}, "volumes": {"d": {}}})
    label = f"label=dev.infra-harness.run={stack.run}"
    before = [
        stack.engine.docker(*words, "--filter", label) for words in (("volume", "ls", "-q"), ("network", "ls", "-q"))
    ]
    assert all(before)
    stack.end()
    for words in (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q")):
        assert stack.engine.docker(*words, "--filter", label).strip() == "", words


def test_a_memory_limit_holds_and_is_told_as_the_cause(up: Callable[..., Any], redis_image: str) -> None:
    """A container over its limit is killed by the kernel, and `harness status` says out of memory, not just 137.

    Source: Engine API, `OOMKilled`; control groups, `memory.max`.
    """
    stack = up(
        {"services": {"small": quick_redis(redis_image, mem_limit="24m", command=["redis-server", "--save", ""])}}
    )
    assert stack.engine.inspect("small")["HostConfig"]["Memory"] == 24 * 1024 * 1024
    client = client_of(stack.services["small"])
    blobs = {f"big-{index}": os.urandom(500_000) for index in range(60)}
    with pytest.raises(redis_client.ConnectionError):
        client.mset(blobs)

    def ask() -> None:
        if not stack.engine.inspect("small")["State"]["OOMKilled"]:
            raise NotYet("not killed yet")

    poll(ask, Deadline.after(10), "the kernel's kill")


def test_a_container_that_dies_at_start_is_told_at_once_with_its_last_words(
    up: Callable[..., Any], redis_image: str
) -> None:
    """No wait burns its time on a dead container: exit code and last log lines come within seconds."""
    broken = quick_redis(redis_image, command=["redis-server", "--port", "not-a-number"])
    started = time.monotonic()
    with pytest.raises(AssertionError) as failure:
        up({"services": {"broken": broken}}, "--ready-timeout", "60")
    text = str(failure.value)
    assert "exit 4" in text
    assert "exited with code 1" in text
    assert "not-a-number" in text
    assert time.monotonic() - started < 30


def test_acknowledged_and_searchable_spans_survive_sigterm_of_tempo(
    engine: Any, stack: RemoteStack, otel_collector: CollectorClient, namespace: Any, tempo: Any
) -> None:
    """A span that is searchable has reached Tempo's write-ahead log; a stop loses nothing of it.

    Only the data is judged, not a graceful exit: within 30 s of a query SIGTERM can hang (grafana/tempo#7967).
    """
    from opentelemetry.trace import format_trace_id

    with otel_collector.sdk("keeper", namespace.of("tempo")) as sdk:
        with sdk.tracer.start_as_current_span("kept") as span:
            pass
        sdk.flush_spans()
    trace = format_trace_id(span.get_span_context().trace_id)
    query = f'{{ resource.test.namespace = "{namespace.name}" }}'

    def searchable() -> None:
        if not tempo.get("/api/search", params={"q": query}).json().get("traces"):
            raise NotYet("not searchable yet")

    poll(searchable, Deadline.after(20), query)
    stack["tempo"].stop(grace=1)
    stack["tempo"].start()
    assert tempo.get(f"/api/v2/traces/{trace}").status_code == 200


def _seconds(stamp: str) -> float:
    """An engine's time stamp in seconds since the epoch."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")
