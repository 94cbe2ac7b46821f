"""The reference service as the tests of this layer use it: started as processes, called with a trace, watched."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry import propagate
from opentelemetry.trace import SpanKind, format_trace_id

from harness.keeper.client import RemoteStack
from harness.keeper.leases import Leases
from harness.model import Port
from harness.probes.exposition import Sample, samples
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace
from harness.pytest_plugin.session import session_of
from harness.runtimes.child import Child
from harness.runtimes.external import ExternalStack
from harness.services.http_session import IsolatedSession, ServiceSession
from harness.services.otel_client import CollectorClient, Sdk

FOLDER = Path(__file__).resolve().parents[1]
"""What `python -m app` finds the reference service in."""
HANDED_ON = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")
STARTS_WITHIN = 20.0
ARRIVES_WITHIN = 15.0
"""Seconds from the end of a request to its trace being found: export, the Collector's batch, Tempo's intake."""


@dataclass(frozen=True)
class Call:
    """A request that was made, the id of its trace, and what was answered."""

    trace_id: str
    status: int
    body: Any
    seconds: float


@dataclass
class Instance:
    """One process of the reference service."""

    name: str
    child: Child
    host: str
    port: int = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.host}:{self.port}"

    def get(self, path: str) -> requests.Response:
        """A plain request, outside every trace."""
        with IsolatedSession() as session:
            return session.get(self.url + path)

    def post(self, path: str) -> requests.Response:
        """A plain request, outside every trace."""
        with IsolatedSession() as session:
            return session.post(self.url + path)

    def log(self, event: str = "", **fields: object) -> list[dict[str, Any]]:
        """Its log lines of an event, with these fields."""
        text = self.child.log.read_text(errors="replace")
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if event in {"", line["event"]} and fields.items() <= line.items()]

    def metrics(self, name: str, **labels: str) -> list[Sample]:
        """The samples of that name on its own page."""
        return samples(self.get("/metrics").text, name, **labels)


@dataclass
class Caller:
    """The client of the service: each call is the root of a trace."""

    sdk: Sdk
    local: threading.local = field(default_factory=threading.local, repr=False)

    def call(self, method: str, url: str, body: Any = None, peer: str = "") -> Call:
        """Send one request within a span of its own. Raises requests.RequestException when nothing answers."""
        if not hasattr(self.local, "session"):
            self.local.session = IsolatedSession(timeout=30)
        about = {"http.request.method": method} | ({"peer.service": peer} if peer else {})
        with self.sdk.tracer.start_as_current_span("call", kind=SpanKind.CLIENT, attributes=about) as span:
            headers: dict[str, str] = {}
            propagate.inject(headers)
            answer = self.local.session.request(method, url, headers=headers, json=body)
        trace_id = format_trace_id(span.get_span_context().trace_id)
        return Call(trace_id, answer.status_code, answer.json(), answer.elapsed.total_seconds())


@dataclass(frozen=True)
class Traces:
    """What Tempo holds, asked directly or through Grafana's proxy."""

    tempo: ServiceSession

    def spans(self, trace_id: str, count: int, within: float = ARRIVES_WITHIN) -> list[dict[str, Any]]:
        """The spans of a trace once there are that many, each with its `service`."""

        def ask() -> list[dict[str, Any]]:
            answer = self.tempo.get(f"/api/v2/traces/{trace_id}", headers={"Accept": "application/json"})
            if answer.status_code == 404:
                raise NotYet("404")
            found = spans_in(answer.json())
            if len(found) < count:
                raise NotYet(f"{len(found)} of {count} spans: {[(one['service'], one['name']) for one in found]}")
            return found

        return poll(ask, Deadline.after(within), f"trace {trace_id}")

    def search(self, query: str, count: int, within: float = ARRIVES_WITHIN) -> set[str]:
        """The ids of the traces that a TraceQL query finds, once there are that many."""

        def ask() -> set[str]:
            answer = self.tempo.get("/api/search", params={"q": query, "limit": "1000"})
            assert answer.status_code == 200, f"{query}: HTTP {answer.status_code} {answer.text[:200]}"
            found = {trace["traceID"].zfill(32) for trace in answer.json().get("traces", [])}
            if len(found) < count:
                raise NotYet(f"{len(found)} of {count} traces")
            return found

        return poll(ask, Deadline.after(within), query)


def spans_in(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The spans of Tempo's answer; attributes as plain mappings, `service` and `instance` from the resource."""
    found = []
    for batch in answer["trace"].get("resourceSpans") or []:
        resource = plain(batch["resource"]["attributes"])
        about = {"service": resource["service.name"], "instance": resource.get("service.instance.id", "")}
        for scope in batch["scopeSpans"]:
            found += [{**span, **about, "about": plain(span.get("attributes", []))} for span in scope["spans"]]
    return found


def plain(attributes: list[dict[str, Any]]) -> dict[str, str]:
    """Attributes of OTLP/JSON as text by key."""
    return {item["key"]: str(next(iter(item["value"].values()))) for item in attributes}


class Deployment:
    """Services that were started from the reference service under one namespace, and end with it."""

    def __init__(self, stack: RemoteStack, corner: Namespace, redis: Any, folder: Path) -> None:
        self.stack, self.redis, self.folder = stack, redis, folder
        self.name = corner.name
        self.config_key = f"{corner.of('consul')}config"
        self.marks: dict[str, str] = corner.of("tempo")
        self.instances: list[Instance] = []
        self._ways, self._leases = ExitStack(), Leases()
        self.redis_prefix = str(corner.of("redis"))
        self.database: Any = corner.of("arangodb")

    def service(self, role: str) -> str:
        """The name that a service has in this namespace, in Consul and in Tempo alike."""
        return f"{self.name}-{role}"

    def start(self, *roles: str, **settings: str) -> list[Instance]:
        """Start an instance for each role, all at once; `settings` replace variables of their environment."""
        started = [self._launch(role, settings) for role in roles]
        for instance in started:
            self._await(instance)
        return started

    def forget(self, key: str) -> None:
        """Take an item out of the cache, as an eviction would."""
        assert self.redis.delete(f"{self.redis_prefix}item:{key}") == 1, f"{key} was not cached"

    def close(self) -> None:
        """End every instance at once; Consul forgets them with the namespace."""
        for instance in self.instances:
            instance.child.kill()
        self._ways.close()
        self._leases.release()

    def _launch(self, role: str, settings: Mapping[str, str]) -> Instance:
        name = f"{self.service(role)}-{len(self.instances)}"
        host = self.stack.callback_host
        environment = {**self._environment(self.service(role), name, host), **settings, **self._way()}
        command = (sys.executable, "-m", "app")
        child = Child(command, environment, self.folder, self.folder / f"{name}.log", lambda spawn: spawn())
        self.instances.append(Instance(name, child, host, int(environment.get("APP_PORT", "0"))))
        child.launch()
        return self.instances[-1]

    def _way(self) -> dict[str, str]:
        """From services on another machine: a port that is known before the instance has it, and a way to it."""
        if not self.stack.elsewhere:
            return {}
        port = str(self._leases.lease(Port("app", 0), self.stack.callback_host).port)
        return {"APP_PORT": port, "APP_CHECKED_AT": self._ways.enter_context(self.stack.called_at(int(port)))}

    def _await(self, instance: Instance) -> None:
        def listening() -> int:
            if not (started := instance.log("listening")):
                raise NotYet(instance.child.log.read_text(errors="replace")[-300:] or "no output yet")
            return int(started[-1]["port"])

        instance.port = poll(listening, Deadline.after(STARTS_WITHIN), instance.name, lambda: _ending(instance.child))

    def _environment(self, service: str, instance: str, host: str) -> dict[str, str]:
        of = {handle.kind: handle for handle in self.stack.values()}
        redis, arangodb = of["redis"], of["arangodb"]
        kept = {key: value for key, value in os.environ.items() if key in HANDED_ON or "COVERAGE" in key}
        return kept | {
            "PYTHONPATH": str(FOLDER),
            "APP_NAME": service,
            "APP_INSTANCE": instance,
            "APP_HOST": host,
            "APP_PREFIX": self.name,
            "APP_CONSUL_URL": of["consul"].endpoint("http").url,
            "APP_REDIS_URL": f"redis://:{redis.credentials['password'].reveal()}@{redis.endpoint('redis').address}",
            "APP_ARANGO_URL": arangodb.endpoint("http").url,
            "APP_ARANGO_DATABASE": self.name,
            "APP_ARANGO_PASSWORD": arangodb.credentials["password"].reveal(),
            "APP_OTLP_URL": of["otel_collector"].endpoint("otlp_http").url,
            "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in self.marks.items()),
        }


def _ending(child: Child) -> str:
    ending = child.exit_report()
    return f"{ending}: {child.log.read_text(errors='replace')[-1500:].strip()}" if ending else ""


@pytest.fixture(scope="session")
def deploy(
    stack: RemoteStack | ExternalStack, consul: Any, redis: Any, arangodb: Any, otel_collector: CollectorClient
) -> Callable[[ExitStack, Namespace, Path], Deployment]:
    """Make a deployment that is closed by an exit stack. Needs a stack that can call this machine back."""
    if not isinstance(stack, RemoteStack):
        pytest.skip("not verified: services of a live environment cannot call this machine back")

    def make(closing: ExitStack, corner: Namespace, folder: Path) -> Deployment:
        made = Deployment(stack, corner, redis, folder)
        closing.callback(made.close)
        return made

    return make


@pytest.fixture(scope="session")
def shop(
    pytestconfig: pytest.Config,
    deploy: Callable[[ExitStack, Namespace, Path], Deployment],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Two instances of `catalogue` and one of `front`, shared: tests use items of their own and change nothing else."""
    with ExitStack() as closing:
        corner = Namespace(session_of(pytestconfig))
        closing.callback(corner.close)
        made = deploy(closing, corner, tmp_path_factory.mktemp("shop"))
        made.start("catalogue", "catalogue", "front")
        yield made


@pytest.fixture
def deployment(
    deploy: Callable[[ExitStack, Namespace, Path], Deployment], namespace: Namespace, tmp_path: Path
) -> Iterator[Deployment]:
    """An empty deployment of this test alone, in the test's namespace: instances may be killed and misconfigured."""
    with ExitStack() as closing:
        yield deploy(closing, namespace, tmp_path)


@pytest.fixture
def caller(otel_collector: CollectorClient, namespace: Namespace) -> Iterator[Caller]:
    """A client whose spans are of the service `<namespace>-caller`."""
    with otel_collector.sdk(f"{namespace.name}-caller", namespace.of("otel_collector")) as sdk:
        yield Caller(sdk)


@pytest.fixture(scope="session")
def traces(tempo: ServiceSession) -> Traces:
    """What Tempo holds."""
    return Traces(tempo)


@pytest.fixture
def key() -> str:
    """An item of this test alone."""
    return f"item-{secrets.token_hex(6)}"
