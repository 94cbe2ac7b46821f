"""A corporate machine: proxies, and logins for every host, in the environment change nothing on loopback."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from harness.links import Links
from harness.model import Endpoint
from harness.probes.http import ask
from harness.services import kind_named
from harness.services.otel_client import CollectorClient
from tests.unit.rigs.core_rig import Script, StubHandle, harness, scripted

USER = "nonsense-user"
NETRC = f"default login {USER} password nonsense\nmachine 127.0.0.1 login {USER} password nonsense\n"
COMPOSE = """\
services:
  consul:
    image: hashicorp/consul:1.22.0
    command: [agent, -server, -bootstrap-expect=1, -node=consul, -client=0.0.0.0]
"""
TEST = """\
def test_kv(consul, namespace):
    key = namespace.of("consul") + "a"
    assert consul.kv.put(key, "b")
    assert consul.kv.get(key)[1]["Value"] == b"b"
"""


class Trap:
    """Stands where the environment says that a proxy is. Notes the first line of whatever comes, and hangs up."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.caught: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                try:
                    self.caught.append(connection.recv(200).partition(b"\r\n")[0])
                except OSError as error:
                    self.caught.append(str(error).encode())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def environment(self, home: Path) -> dict[str, str]:
        """What such a machine has set, in both spellings."""
        (home / ".netrc").write_text(NETRC)
        (home / ".netrc").chmod(0o600)
        names = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
        proxies = {spelled: self.url for name in names for spelled in (name, name.upper())}
        return {**proxies, "NO_PROXY": "", "no_proxy": "", "HOME": str(home), "NETRC": str(home / ".netrc")}


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


@pytest.fixture
def corporate(trap: Trap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trap:
    """This very process on such a machine."""
    for name, value in trap.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return trap


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted({"GET *": (200, {}), "POST *": (200, {}), "PUT *": (200, True)}) as made:
        yield made


def logins(script: Script) -> str:
    """Every login that was sent, decoded."""
    sent = [request.headers.get("authorization", "").removeprefix("Basic ") for request in script.seen]
    return " ".join(base64.b64decode(text).decode(errors="replace") for text in sent)


def came_directly(script: Script, trap: Trap) -> bool:
    """Whether something arrived, all of it as to an origin and with nobody else's login."""
    paths = [request.path for request in script.seen]
    return (
        bool(paths) and all(path.startswith("/") for path in paths) and not trap.caught and USER not in logins(script)
    )


def test_the_trap_catches_what_follows_the_environment(corporate: Trap, script: Script) -> None:
    import requests

    with pytest.raises(requests.RequestException):
        requests.get(f"{script.endpoint.url}/x", timeout=5)
    assert corporate.caught == [f"GET {script.endpoint.url}/x HTTP/1.1".encode()]
    assert not script.seen


def test_probes(corporate: Trap, script: Script) -> None:
    assert ask(script.endpoint, "/ready").status == 200
    assert came_directly(script, corporate)


def use(kind: str, client: Any) -> None:
    """One call of a kind's client; what the script answers does not matter."""
    if kind == "consul":
        client.kv.put("a", "b")
    elif kind == "arangodb":
        client.conn.ping()
    elif kind == "otel_collector":
        for session in (client.otlp, client.health, client.metrics, client.prometheus):
            session.get("/x")
    else:
        client.get("/x")


@pytest.mark.parametrize("kind", ["consul", "arangodb", "tempo", "grafana", "otel_collector"])
def test_clients(corporate: Trap, script: Script, kind: str) -> None:
    known = kind_named(kind)
    handle = script.handle(*(port.name for port in known.ports), password="p")
    client = known.client(handle)
    use(kind, client)
    known.close_client(client)
    assert came_directly(script, corporate)


def test_the_client_of_links(corporate: Trap, script: Script) -> None:
    script.answers["GET /version"] = (200, {"version": "2.12.0"})
    with Links(script.endpoint.url) as links:
        assert links.version() == "2.12.0"
    assert came_directly(script, corporate)


def test_spans_over_http(corporate: Trap, script: Script) -> None:
    client = CollectorClient(script.handle("otlp_http", "otlp_grpc", "health", "metrics", "prometheus"))
    sdk = client.sdk("shop", protocol="http")
    sdk.tracer.start_span("a").end()
    assert sdk.flush_spans() == 1
    assert came_directly(script, corporate)


def test_an_engine_on_loopback(corporate: Trap, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.runtimes.docker import engine

    monkeypatch.setenv("DOCKER_HOST", f"tcp://{script.endpoint.address}")
    script.answers["GET *"] = (200, {"ApiVersion": "1.44", "Version": "27.0", "OperatingSystem": "here"})
    assert engine.ask().version == "27.0"
    assert script.seen
    assert corporate.caught == []  # the library sends the login; an engine does not read it


@contextmanager
def grpc_collector() -> Iterator[tuple[Endpoint, list[str]]]:
    """A gRPC server that takes traces and metrics, and the methods that were called."""
    called: list[str] = []
    answers: dict[str, Any] = {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export": ExportTraceServiceResponse(),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": ExportMetricsServiceResponse(),
    }

    class Taker(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            method = str(details.method)
            called.append(method.rpartition(".")[2])
            return grpc.unary_unary_rpc_method_handler(lambda *_: answers[method].SerializeToString())

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Taker()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield Endpoint("otlp_grpc", "127.0.0.1", port, "grpc"), called
    server.stop(None).wait()


def test_spans_and_metrics_over_grpc(corporate: Trap, script: Script) -> None:
    with grpc_collector() as (endpoint, called):
        names = ("otlp_http", "health", "metrics", "prometheus")
        handle = StubHandle({**dict.fromkeys(names, script.endpoint), "otlp_grpc": endpoint})
        client = CollectorClient(handle)
        sdk = client.sdk("shop")
        sdk.tracer.start_span("a").end()
        sdk.meter.create_counter("c").add(1)
        assert sdk.flush_spans() == 1
        assert sdk.flush_metrics() == 1
        client.close()
    assert {"TraceService/Export", "MetricsService/Export"} <= set(called)
    assert corporate.caught == []


def test_a_whole_run(trap: Trap, tmp_path: Path, state: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    (project / "compose.yml").write_text(COMPOSE)
    (project / "pytest.ini").write_text("[pytest]\ninfra_harness = true\naddopts = -p no:cacheprovider\n")
    (project / "test_kv.py").write_text(TEST)
    words = ("test", "--runtime", "process", "--compose", "compose.yml", "--state", str(state))
    done = harness(*words, cwd=project, within=60.0, **trap.environment(home))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 0 failed" in done.stdout
    assert trap.caught == []
