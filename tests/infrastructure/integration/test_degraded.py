"""Without a dependency: what still works, what says so, and that it ends when the cause ends.

Nothing shared is broken: an instance of the test's own is pointed at an address where nothing is, nobody answers, or
a link of the test's own leads to the real thing.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.keeper.client import RemoteStack
from harness.links import Links
from harness.model import Endpoint
from harness.probes.http import expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.runtimes.child import Child

if TYPE_CHECKING:
    from tests.infrastructure.integration.conftest import Caller, Deployment, Instance, Traces


@contextmanager
def blackhole() -> Iterator[str]:
    """An address whose connections are taken and never answered: the listener's backlog, and nobody who accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield "{}:{}".format(*listener.getsockname())


def nowhere(lease: Callable[..., Endpoint]) -> str:
    """An address that refuses connections and that nobody else takes."""
    return lease("nothing").address


def ready(instance: Instance, status: int, word: str) -> dict[str, str]:
    """Its `/ready`, which must answer so."""
    answer = instance.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (status, word), answer.text
    return dict(answer.json())


def up(instance: Instance, dependency: str) -> float:
    """What its own metrics say of a dependency, after `/ready` has looked."""
    (sample,) = instance.metrics("dependency_up", dependency=dependency)
    return sample.value


def misses(instance: Instance, outcome: str) -> float:
    """How often the cache answered so."""
    return sum(one.value for one in instance.metrics("cache_requests", outcome=outcome))


def test_without_its_cache_the_service_serves_from_the_store_and_says_so(
    deployment: Deployment, caller: Caller, traces: Traces, lease: Callable[..., Endpoint], key: str
) -> None:
    """Redis refuses: requests succeed, `/ready` stays 200 and reads degraded, the cache's errors are counted, and in
    the trace the failed span is Redis', not the request's.

    Source: the service's contract (app/__init__.py); OpenTelemetry, "Set Status".
    """
    (instance,) = deployment.start("catalogue", APP_REDIS_URL=f"redis://{nowhere(lease)}")
    url = f"{instance.url}/items/{key}"
    assert caller.call("PUT", url, "lamp").status == 200
    call = caller.call("GET", url)
    assert (call.status, call.body["from"]) == (200, "store")
    assert ready(instance, 200, "degraded")["redis"].startswith("down")
    assert (up(instance, "redis"), up(instance, "arangodb"), misses(instance, "error")) == (0, 1, 3)
    failed = [
        span["name"] for span in traces.spans(call.trace_id, 5) if span["status"].get("code") == "STATUS_CODE_ERROR"
    ]
    assert failed == ["GET", "EVAL"]


def test_a_cache_that_never_answers_costs_its_time_out_and_no_more(
    deployment: Deployment, caller: Caller, key: str
) -> None:
    """Redis accepts and is silent: a request waits for the time-out of each call of the cache, then is served.

    Source: redis-py, `socket_timeout`; the service's `APP_TIMEOUT`.
    """
    timeout = 0.5
    with blackhole() as address:
        (instance,) = deployment.start("catalogue", APP_REDIS_URL=f"redis://{address}", APP_TIMEOUT=str(timeout))
        call = caller.call("PUT", f"{instance.url}/items/{key}", "lamp")
        assert call.status == 200
        assert timeout <= call.seconds < 3 * timeout, f"one call of the cache, {call.seconds:.2f} s"
        assert ready(instance, 200, "degraded")["redis"] == "down: TimeoutError"


def test_without_its_store_the_service_is_not_ready_and_serves_what_is_cached(
    deployment: Deployment, caller: Caller, consul: Any, lease: Callable[..., Endpoint], key: str
) -> None:
    """ArangoDB refuses: writes are turned away with the cause, `/ready` is 503 and Consul hands the instance to nobody;
    what another instance has cached is still read.

    Source: the service's contract (app/__init__.py); Consul, "Define health checks".
    """
    (cut,) = deployment.start("catalogue", APP_ARANGO_URL=f"http://{nowhere(lease)}")
    (whole,) = deployment.start("catalogue")
    assert caller.call("PUT", f"{whole.url}/items/{key}", "lamp").status == 200
    assert caller.call("GET", f"{cut.url}/items/{key}").body["from"] == "cache"
    refused = caller.call("PUT", f"{cut.url}/items/{key}", "new")
    assert (refused.status, refused.body["error"][:9]) == (503, "arangodb:")
    assert caller.call("GET", f"{whole.url}/items/{key}").body["value"] == "lamp", "a refused write had an effect"
    ready(cut, 503, "unavailable")
    assert (up(cut, "arangodb"), up(cut, "redis"), up(whole, "arangodb")) == (0, 1, 1)

    def handed_out() -> None:
        seen = {one["Service"]["ID"] for one in consul.health.service(deployment.service("catalogue"), passing=True)[1]}
        if seen != {whole.name}:
            raise NotYet(f"passing: {seen}")

    poll(handed_out, Deadline.after(8), "only the whole instance in discovery")


def test_without_the_collector_requests_are_served_and_the_log_has_their_traces(
    deployment: Deployment, caller: Caller, lease: Callable[..., Endpoint], key: str
) -> None:
    """Telemetry is never in the way: no request fails or waits for an export, ids and measurements are still made.

    Source: OpenTelemetry specification, "Error handling": the SDK must not throw or block the application.
    """
    (instance,) = deployment.start("catalogue", APP_OTLP_URL=f"http://{nowhere(lease)}")
    calls = [caller.call("PUT", f"{instance.url}/items/{key}", number) for number in range(20)]
    assert [call.body["version"] for call in calls] == list(range(1, 21))
    assert [line["trace_id"] for line in instance.log("request")] == [call.trace_id for call in calls]
    (counted,) = instance.metrics("http_server_request_duration_seconds_count", http_request_method="PUT")
    assert counted.value == 20
    ready(instance, 200, "ready")


def test_a_cache_that_comes_back_is_used_again(
    stack: RemoteStack,
    deployment: Deployment,
    caller: Caller,
    lease: Callable[..., Endpoint],
    private_process: Callable[..., Child],
    key: str,
) -> None:
    """Over a link that is cut and mended: ready, degraded, ready; while it is cut nothing is lost, afterwards reads
    come from the cache with no restart.

    Source: Toxiproxy, README, "Down"; redis-py reconnects on the next command.
    """
    api, redis = lease("api", "http"), stack["redis"]
    private_process([sys.executable, "-m", "harness.proxy", "--host", api.host, "--port", str(api.port)],
                    ready=lambda: expect(200, api, "/version"))  # fmt: skip
    with Links(api.url) as links:
        link = links.create("cache", "127.0.0.1:0", redis.endpoint("redis").address)
        login = f":{redis.credentials['password'].reveal()}@"
        (instance,) = deployment.start("catalogue", APP_REDIS_URL=f"redis://{login}127.0.0.1:{link.port}")
        url = f"{instance.url}/items/{key}"
        caller.call("PUT", url, "one")
        assert caller.call("GET", url).body["from"] == "cache"
        ready(instance, 200, "ready")

        links.disable("cache")
        assert caller.call("PUT", url, "two").body["version"] == 2
        assert caller.call("GET", url).body == {"key": key, "value": "two", "version": 2, "from": "store"}
        ready(instance, 200, "degraded")
        assert up(instance, "redis") == 0

        links.enable("cache")
        caller.call("PUT", url, "three")
        assert caller.call("GET", url).body == {"key": key, "value": "three", "version": 3, "from": "cache"}
        ready(instance, 200, "ready")
        assert up(instance, "redis") == 1
