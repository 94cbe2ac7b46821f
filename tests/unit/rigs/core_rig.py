"""What the core's unit tests share: plans, a runtime without processes, a scripted HTTP server, waiting on facts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.credentials import Secret
from harness.errors import HarnessError
from harness.model import Endpoint, Fidelity, RuntimeName, ServicePlan, Source, StackPlan
from harness.plan import waves
from harness.services import kind_named
from harness.services.base import Binary, Place
from harness.stack import pick_endpoint
from tests.unit.rigs.http_rig import Reply, Seen, serving

ROOT = Path(__file__).parents[3]
HARNESS = ROOT / "harness"

REDIS_COMPOSE = """\
name: one
services:
  redis:
    image: redis:8.6.3
    command: [redis-server, --requirepass, "${REDIS_PASSWORD:-local-only}"]
    environment:
      REDISCLI_AUTH: ${REDIS_PASSWORD:-local-only}
"""
"""The smallest real stack: one server that starts in a tenth of a second."""

needs_redis = pytest.mark.skipif(
    kind_named("redis").find_binary() is None, reason="no redis-server or valkey-server is here"
)


def eventually(fact: Callable[[], Any], within: float = 10.0) -> Any:
    """The first true answer of `fact`; fails the test when there is none in time."""
    end = time.monotonic() + within
    while not (answer := fact()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)
    return answer


def short_directory(request: pytest.FixtureRequest) -> Path:
    """A fresh directory directly under the temporary one."""
    path = Path(tempfile.mkdtemp(prefix="hu-"))
    request.addfinalizer(lambda: shutil.rmtree(path, ignore_errors=True))
    return path


# -- plans ------------------------------------------------------------------------------------------------------


def service(name: str, *needs: str, **more: Any) -> ServicePlan:
    """A service of no kind, needing others."""
    given = {"image": f"{name}:1.0", "kind": None, "depends_on": dict.fromkeys(needs, "service_started"), **more}
    return ServicePlan(name=name, **given)


def plan_of(*services: ServicePlan, source: Source = Source.BINARY, ready_timeout: float = 5.0) -> StackPlan:
    """A plan of these services on the process runtime."""
    by_name = {item.name: item for item in services}
    fidelity = {name: Fidelity(source, "", item.pin) for name, item in by_name.items()}
    return StackPlan("unit", by_name, waves(by_name), RuntimeName.PROCESS, fidelity, ready_timeout)


def addresses_of(plan: StackPlan) -> dict[str, dict[str, Endpoint]]:
    """An address per service that nothing listens on."""
    return {name: {"main": Endpoint("main", "127.0.0.1", 1, "tcp")} for name in plan.services}


def place_for(kind: str, data: Path, binary: Binary | None = None, **more: Any) -> Place:
    """Where a process of a kind would run: leased ports from 20000 up, container paths below /host."""
    known = kind_named(kind)
    ports = enumerate((*known.ports, *known.process_ports), 20000)
    endpoints = {port.name: Endpoint(port.name, "127.0.0.1", number, port.scheme) for number, port in ports}
    plan = service(kind, kind=kind, origin="stack.yml:1", **more)
    return Place(plan, data, endpoints, lambda path: f"/host{path}" if path.startswith("/") else path, binary)


# -- a runtime without processes --------------------------------------------------------------------------------


@dataclass
class FakeInstance:
    """An instance whose life is a few variables. `events` is shared by all of a runtime, in order."""

    name: str
    events: list[str]
    ending: str = ""
    health: bool | None = None
    launch_error: Exception | None = None
    stop_error: Exception | None = None
    launched: bool = False
    pid: int = 0

    @property
    def alive(self) -> bool:
        return self.launched and not self.ending

    def exit_report(self) -> str:
        return self.ending

    def launch(self) -> None:
        self.events.append(f"launch {self.name}")
        if self.launch_error:
            raise self.launch_error
        self.launched, self.ending = True, self.ending if not self.launched else ""

    def kill(self) -> None:
        self.events.append(f"kill {self.name}")
        self.ending = "killed by SIGKILL"

    def stop(self, grace: float) -> None:
        self.events.append(f"stop {self.name} {grace:g}")
        if self.stop_error:
            raise self.stop_error
        self.ending = "exited with code 0"

    def pause(self) -> None:
        self.events.append(f"pause {self.name}")

    def resume(self) -> None:
        self.events.append(f"resume {self.name}")

    def healthy(self) -> bool | None:
        return self.health


@dataclass
class FakeRuntime:
    """Hands out the instances that a test prepared, healthy ones otherwise."""

    prepared: dict[str, FakeInstance] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    prepare_error: HarnessError | None = None
    create_error: dict[str, Exception] = field(default_factory=dict)
    callback_host: str = "127.0.0.1"
    elsewhere: str = ""
    loss: str = ""
    called: list[int] = field(default_factory=list)
    """The ports of receivers that services were given a way to."""
    numbers: frozenset[int] = frozenset()
    """Those that somebody listens at where services run."""
    seen: dict[str, Mapping[str, Mapping[str, Endpoint]]] = field(default_factory=dict)
    """The addresses that each service was told."""

    def instance(self, name: str, **more: Any) -> FakeInstance:
        """Prepare an instance for a service."""
        self.prepared[name] = FakeInstance(name, self.events, **more)
        return self.prepared[name]

    def called_at(self, port: int) -> tuple[str, int]:
        """From elsewhere by another address, and a port of its own."""
        if not self.elsewhere:
            return self.callback_host, port
        self.called.append(port)
        return "10.9.0.1", port + 1

    def called_no_more(self, port: int) -> None:
        self.called.remove(port)

    def lost(self) -> str:
        return self.loss

    def taken(self) -> frozenset[int]:
        return self.numbers

    def prepare(self, plan: StackPlan) -> None:
        self.events.append("prepare")
        if self.prepare_error:
            raise self.prepare_error

    def create(self, service: ServicePlan, addresses: Mapping[str, Mapping[str, Endpoint]], log: Path) -> FakeInstance:
        self.seen[service.name] = addresses
        if service.name in self.create_error:
            raise self.create_error[service.name]
        return self.prepared.get(service.name) or self.instance(service.name)

    def inside(self, service: ServicePlan, endpoints: Mapping[str, Endpoint]) -> Mapping[str, Endpoint]:
        """As in a network of its own, where everybody is reached under his name."""
        return {name: replace(endpoint, host=service.name) for name, endpoint in endpoints.items()}

    def close(self) -> list[str]:
        self.events.append("close")
        return self.left


# -- a service's client side -------------------------------------------------------------------------------------


@dataclass
class StubHandle:
    """A handle with addresses and passwords, and nothing behind it."""

    endpoints: Mapping[str, Endpoint]
    credentials: Mapping[str, Secret] = field(default_factory=dict)
    fidelity: Fidelity = field(default_factory=lambda: Fidelity(Source.BINARY, "1.0", "1.0"))
    name: str = "stub"
    kind: str | None = None

    def endpoint(self, name: str = "") -> Endpoint:
        return pick_endpoint(self.name, self.endpoints, name)


Answer = tuple[int, Any] | Callable[[Seen], tuple[int, Any]]


@dataclass
class Script:
    """What the server answers, by `METHOD /path` (without the query) with a `*` for any rest; and what it was asked."""

    endpoint: Endpoint
    answers: dict[str, Answer] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def handle(self, *ports: str, **credentials: str) -> StubHandle:
        """A handle all of whose ports are this server."""
        endpoints = {
            port: Endpoint(port, self.endpoint.host, self.endpoint.port, self.endpoint.scheme)
            for port in ports or ("http",)
        }
        return StubHandle(endpoints, {name: Secret(text) for name, text in credentials.items()})

    def answer(self, request: Seen) -> tuple[int, Any]:
        """The longest matching entry's answer; 404 without one."""
        self.seen.append(request)
        key = f"{request.method} {request.path.partition('?')[0]}"
        fits = [name for name in self.answers if name == key or (name[-1] == "*" and key.startswith(name[:-1]))]
        found = self.answers[max(fits, key=len)] if fits else (404, {"error": key})
        return found(request) if callable(found) else found

    def asked(self) -> list[str]:
        """`METHOD /path` of every request."""
        return [f"{request.method} {request.path}" for request in self.seen]


@contextmanager
def scripted(answers: dict[str, Answer] | None = None) -> Iterator[Script]:
    """A scripted HTTP server on a free port."""

    def reply(request: Seen) -> Reply:
        status, body = script.answer(request)
        return status, {}, body.encode() if isinstance(body, str) else json.dumps(body).encode()

    script = Script(Endpoint("http", "127.0.0.1", 0, "http"), answers or {})
    with serving(reply) as port:
        script.endpoint = replace(script.endpoint, port=port)
        yield script


# -- the command line --------------------------------------------------------------------------------------------


def harness(*words: str, cwd: Path, within: float = 60.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `harness` as a user would, in a directory of the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    return subprocess.run(
        [sys.executable, "-m", "harness.cli.main", *words],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
