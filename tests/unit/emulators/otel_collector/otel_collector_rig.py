"""What the Collector emulator's wire tests share: the process, a backend that fails on command, and readings."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import requests
import yaml
from google.protobuf import duration_pb2  # type: ignore[import-untyped]
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

ROOT = Path(__file__).parents[4]
CONFIG = ROOT / "compose/config/otel_collector/config.yaml"
CAPTURES = Path(__file__).parent / "captures"


LEASES: list[socket.socket] = []
"""Bound, never listening: nobody else is given these ports while the tests run."""


def free_port() -> int:
    """A loopback port nobody listens on, leased until the test process ends."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    LEASES.append(sock)
    return int(sock.getsockname()[1])


def until(check: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Poll until `check` gives something true, and give that; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {check}"
        time.sleep(0.01)
    return found


def trace_request(count: int = 1, *, trace_id: bytes = b"", service: str = "probe") -> Any:
    """A request with `count` spans of one service."""
    request = trace_service.ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = service
    scope = group.scope_spans.add()
    for _ in range(count):
        scope.spans.add(
            trace_id=trace_id or os.urandom(16), span_id=os.urandom(8), name="work", kind=1,
            start_time_unix_nano=10**18, end_time_unix_nano=10**18 + 10**6,
        )  # fmt: skip
    return request


# -- the backend ----------------------------------------------------------------------------------------------


@dataclass
class Backend(trace_grpc.TraceServiceServicer):
    """A trace backend. `plan` is consumed one entry per call: a status code, seconds to hang, or None for success."""

    port: int = field(default_factory=free_port)
    plan: list[Any] = field(default_factory=list)
    retry_info: int = 0
    calls: list[float] = field(default_factory=list)
    spans: list[bytes] = field(default_factory=list)
    server: Any = None

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the generated name
        """Receive."""
        self.calls.append(time.monotonic())
        step = self.plan.pop(0) if self.plan else None
        if isinstance(step, float):
            time.sleep(step)
        elif step is not None:
            if self.retry_info:
                context.set_trailing_metadata((("grpc-status-details-bin", self._details(step)),))
            context.abort(step, "backend says no")
        self.spans += [span.span_id for group in request.resource_spans for s in group.scope_spans for span in s.spans]
        return trace_service.ExportTraceServiceResponse()

    def _details(self, code: grpc.StatusCode) -> bytes:
        message = status_pb2.Status(code=code.value[0], message="backend says no")
        delay = duration_pb2.Duration(seconds=self.retry_info)
        message.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        return bytes(message.SerializeToString())

    def start(self) -> None:
        """Listen."""
        self.server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        register: Any = trace_grpc.add_TraceServiceServicer_to_server
        register(self, self.server)
        self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        self.server.start()

    def stop(self) -> None:
        """Refuse connections."""
        if self.server:
            self.server.stop(None).wait()
        self.server = None


@contextmanager
def backend(*, up: bool = True) -> Iterator[Backend]:
    """A backend, listening unless `up` is False."""
    made = Backend()
    if up:
        made.start()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def http_backend(answers: list[tuple[int, dict[str, str]]]) -> Iterator[tuple[str, list[Mapping[str, str]]]]:
    """An OTLP/HTTP backend: one answer per request, then 200. Gives its URL and the headers it saw."""
    seen: list[Mapping[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append({**dict(self.headers.items()), "path": self.path})
            status, headers = answers.pop(0) if answers else (200, {})
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- the Collector --------------------------------------------------------------------------------------------


@dataclass
class Running:
    """A started emulator and its addresses."""

    process: subprocess.Popen[str]
    log: Path
    ports: Mapping[str, int]

    def url(self, port: str, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def push(self, request: Any, timeout: float = 5) -> requests.Response:
        """Send traces by HTTP."""
        headers = {"Content-Type": "application/x-protobuf"}
        body = request.SerializeToString()
        return requests.post(self.url("http", "/v1/traces"), data=body, headers=headers, timeout=timeout)

    def push_grpc(self, request: Any) -> Any:
        """Send traces by gRPC. Raises grpc.RpcError."""
        with grpc.insecure_channel(f"127.0.0.1:{self.ports['grpc']}") as channel:
            stub: Any = trace_grpc.TraceServiceStub  # generated without types
            return stub(channel).Export(request, timeout=5)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of an own metric's series that have these labels."""
        text = requests.get(self.url("metrics", "/metrics"), timeout=5).text
        found = re.findall(rf"^otelcol_{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(float(value) for series, value in found if all(pair in series for pair in wanted))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(8)


def environment(ports: Mapping[str, int], data: Path, endpoint: str) -> dict[str, str]:
    """What the stack gives the Collector."""
    return {
        **os.environ, "PYTHONPATH": str(ROOT), "OTELCOL_OTLP_GRPC_LISTEN": f"127.0.0.1:{ports['grpc']}",
        "OTELCOL_OTLP_HTTP_LISTEN": f"127.0.0.1:{ports['http']}",
        "OTELCOL_HEALTH_LISTEN": f"127.0.0.1:{ports['health']}",
        "OTELCOL_PROMETHEUS_LISTEN": f"127.0.0.1:{ports['prometheus']}", "OTELCOL_METRICS_HOST": "127.0.0.1",
        "OTELCOL_METRICS_PORT": str(ports["metrics"]), "OTELCOL_DATA": str(data), "TEMPO_OTLP_ENDPOINT": endpoint,
    }  # fmt: skip


def configuration(change: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """The stack's configuration, changed by a test."""
    parsed: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    if change:
        change(parsed)
    return parsed


def command(*words: str) -> list[str]:
    """The emulator's command line."""
    return [sys.executable, "-m", "harness.emulators.otel_collector", *words]


@contextmanager
def collector(
    directory: Path, endpoint: str, change: Callable[[dict[str, Any]], None] | None = None, *defects: str
) -> Iterator[Running]:
    """A running emulator; killed at the end if the test did not stop it."""
    ports = {name: free_port() for name in ("grpc", "http", "health", "prometheus", "metrics")}
    config, log = directory / "config.yaml", directory / "log"
    config.write_text(yaml.safe_dump(configuration(change)))
    words = command("--config", str(config), *(f"--defect={name}" for name in defects))
    with log.open("a") as stream:
        process = subprocess.Popen(
            words, env=environment(ports, directory / "data", endpoint), stderr=stream, text=True, cwd=directory
        )
    running = Running(process, log, ports)
    try:
        # A process of its own, which takes 0.5 s to start by itself and many times that on a machine under load.
        until(lambda: process.poll() is not None or is_up(running), 30)
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        running.kill()


def is_up(running: Running) -> bool:
    """Whether health_check says so."""
    try:
        return requests.get(running.url("health"), timeout=1).status_code == 200
    except requests.ConnectionError:
        return False


# -- changes to the configuration ------------------------------------------------------------------------------


def exporter_of(config: dict[str, Any]) -> dict[str, Any]:
    """The exporter's section."""
    found: dict[str, Any] = config["exporters"]["otlp_grpc/tempo"]
    return found


def synchronous(config: dict[str, Any]) -> None:
    """No queue, no retry, no batch: the client sees what the backend said."""
    exporter_of(config)["sending_queue"] = {"enabled": False}
    exporter_of(config)["retry_on_failure"] = {"enabled": False}
    config["service"]["pipelines"]["traces"]["processors"] = ["memory_limiter"]


def in_memory(config: dict[str, Any]) -> None:
    """The queue in memory, one consumer, quick retries."""
    exporter_of(config)["sending_queue"] = {"num_consumers": 1, "queue_size": 1000}
    quick_retry(config)


def quick_retry(config: dict[str, Any]) -> None:
    """Retries every few hundredths of a second."""
    exporter_of(config)["retry_on_failure"] = {
        "initial_interval": "30ms",
        "max_interval": "60ms",
        "max_elapsed_time": "30s",
    }


def unbatched(config: dict[str, Any]) -> None:
    """No batch processor, so that a client learns whether the queue took its data."""
    in_memory(config)
    config["service"]["pipelines"]["traces"]["processors"] = ["memory_limiter"]
