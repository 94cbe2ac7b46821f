"""The process itself, driven by the OpenTelemetry SDK's exporters, raw gRPC and HTTP."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

ROOT = Path(__file__).parents[4]
CONFIG = ROOT / "compose/config/tempo/tempo.yaml"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Emulator:
    """One emulator process; the same ports and data over restarts."""

    def __init__(self, data: Path) -> None:
        self.http, self.grpc, self.otlp_grpc, self.otlp_http = (free_port() for _ in range(4))
        self.environment = os.environ | {
            "TEMPO_HTTP_LISTEN_ADDRESS": "127.0.0.1", "TEMPO_HTTP_PORT": str(self.http),
            "TEMPO_GRPC_LISTEN_ADDRESS": "127.0.0.1", "TEMPO_GRPC_PORT": str(self.grpc),
            "TEMPO_OTLP_GRPC_LISTEN": f"127.0.0.1:{self.otlp_grpc}",
            "TEMPO_OTLP_HTTP_LISTEN": f"127.0.0.1:{self.otlp_http}", "TEMPO_DATA": str(data),
        }  # fmt: skip
        self.session = requests.Session()
        self.session.trust_env = False
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *more: str, config: Path = CONFIG) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "harness.emulators.tempo", f"-config.file={config}",
                "-config.expand-env=true", *more]  # fmt: skip

    def run(self, *more: str, config: Path = CONFIG) -> subprocess.CompletedProcess[str]:
        """Run to its end."""
        return subprocess.run(
            self.command(*more, config=config), env=self.environment, cwd=ROOT, capture_output=True, text=True,
            timeout=10, check=False,
        )  # fmt: skip

    def start(self, *more: str, config: Path = CONFIG) -> None:
        """Start and wait until ready."""
        self.process = subprocess.Popen(
            self.command(*more, config=config), env=self.environment, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: self.get("/ready").status_code == 200, 20)  # a loaded machine takes seconds

    def end(self, number: signal.Signals) -> int:
        """Signal the process and return its exit code."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(10)

    def get(self, path: str, **more: Any) -> requests.Response:
        """GET from the query API."""
        return self.session.get(f"http://127.0.0.1:{self.http}{path}", timeout=5, **more)

    def has(self, trace_id: str) -> bool:
        """Whether a trace can be read by id."""
        return self.get(f"/api/traces/{trace_id}").status_code == 200

    def searched(self, trace_id: str) -> bool:
        """Whether a search finds a trace."""
        answer = self.get("/api/search", params={"q": f'{{ trace:id = "{trace_id}" }}'})
        return bool(answer.json()["traces"])


def wait_for(fact: Callable[[], bool], seconds: float) -> None:
    """Until `fact` holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if fact():
                return
        except requests.ConnectionError:
            pass
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.01)


def send(exporter: SpanExporter, service: str = "shop") -> str:
    """Two spans through an exporter of the SDK; the trace id."""
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("root") as root, tracer.start_as_current_span("child"):
        trace_id = root.get_span_context().trace_id
    provider.shutdown()
    return f"{trace_id:032x}"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    made = Emulator(tmp_path / "data")
    try:
        yield made
    finally:
        made.session.close()
        if made.process and made.process.poll() is None:
            made.process.kill()
            made.process.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    made = Emulator(tmp_path_factory.mktemp("tempo"))
    made.start()
    yield made
    made.session.close()
    assert made.end(signal.SIGTERM) == 0


def grpc_exporter(target: Emulator) -> GrpcExporter:
    """The SDK's gRPC exporter."""
    return GrpcExporter(endpoint=f"http://127.0.0.1:{target.otlp_grpc}", timeout=3)


def http_exporter(target: Emulator) -> HttpExporter:
    """The SDK's HTTP exporter."""
    return HttpExporter(endpoint=f"http://127.0.0.1:{target.otlp_http}/v1/traces", timeout=3)


@pytest.mark.parametrize("exporter", [grpc_exporter, http_exporter])
def test_what_the_sdk_exports_is_read_searched_and_measured(
    running: Emulator, exporter: Callable[[Emulator], SpanExporter]
) -> None:
    service = exporter.__name__
    trace_id = send(exporter(running), service)
    assert running.has(trace_id)
    wait_for(lambda: running.searched(trace_id), 3)
    values = running.get("/api/v2/search/tag/resource.service.name/values").json()["tagValues"]
    assert {"type": "string", "value": service} in values
    query = f'{{ resource.service.name = "{service}" }} | count_over_time()'
    (series,) = running.get("/api/metrics/query", params={"q": query, "since": "5m"}).json()["series"]
    assert series["value"] == 2


def test_trace_as_protobuf_and_compressed(running: Emulator) -> None:
    trace_id = send(http_exporter(running))
    answer = running.get(f"/api/traces/{trace_id}", headers={"Accept": "application/protobuf"})
    spans = [span.name for batch in TracesData.FromString(answer.content).resource_spans
             for scoped in batch.scope_spans for span in scoped.spans]  # fmt: skip
    assert sorted(spans) == ["child", "root"]
    wait_for(lambda: running.searched(trace_id), 3)
    found = running.get("/api/search", params={"q": "{}"}, headers={"Accept-Encoding": "gzip"})
    assert found.headers["Vary"] == "Accept-Encoding"
    assert found.json()["traces"]


def call(target: Emulator, body: bytes, metadata: tuple[tuple[str, str], ...] = ()) -> Any:
    """One raw Export call; the error, None when it succeeded."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{target.otlp_grpc}", options) as channel:
        try:
            export = channel.unary_unary(EXPORT, bytes, bytes)
            assert export(body, metadata=metadata, timeout=5) == b"\n\x00"
        except grpc.RpcError as error:
            return error
    return None


def push_body(trace_id: bytes, padding: int = 0) -> bytes:
    """One span as OTLP/protobuf."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = trace_id, b"12345678", "x" * (padding or 1)
    return bytes(request.SerializeToString())


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (push_body(b"short"), "INTERNAL", "grpc: error unmarshalling request: unmarshal: invalid TraceID length"),
        (push_body(bytes(16)), "INVALID_ARGUMENT", "trace ids must be 128 bit, received 0 bits"),
        (b"\xff\xff", "INTERNAL", "grpc: error unmarshalling request: unexpected EOF"),
        (push_body(b"0123456789abcdef", 5 << 20), "RESOURCE_EXHAUSTED",
         "grpc: received message larger than max (5242928 vs. 4194304)"),
    ],
    ids=["bad id", "zero id", "garbage", "too large"],
)  # fmt: skip
def test_grpc_refusals(running: Emulator, body: bytes, code: str, message: str) -> None:
    error = call(running, body)
    assert error is not None
    assert (error.code().name, error.details()) == (code, message)
    assert call(running, push_body(b"0123456789abcdef")) is None


def test_unknown_grpc_methods_are_named(running: Emulator) -> None:
    for port, method, text in (
        (running.otlp_grpc, "/foo.Bar/Do", "unknown service foo.Bar"),
        (running.grpc, "/tempopb.StreamingQuerier/Search", "not emulated: tempopb.StreamingQuerier/Search"),
    ):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(method, bytes, bytes)(b"", timeout=5)
            assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, text)


def test_otlp_http_goes_on_after_malformed_bodies(running: Emulator) -> None:
    url = f"http://127.0.0.1:{running.otlp_http}/v1/traces"
    for body, headers in (
        (b"\xff\xff\xff", {"Content-Type": "application/x-protobuf"}),
        (b"[[[", {"Content-Type": "application/json"}),
        (b'{"resourceSpans":[5]}', {"Content-Type": "application/json"}),
        (gzip.compress(b"{}")[:-4], {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
    ):
        assert running.session.post(url, data=body, headers=headers, timeout=5).status_code == 400
    good = running.session.post(url, data=b"{}", headers={"Content-Type": "application/json"}, timeout=5)
    assert good.json() == {"partialSuccess": {}}


# -- life and death


def test_it_is_small(emulator: Emulator) -> None:
    emulator.start()
    assert emulator.process
    status = Path(f"/proc/{emulator.process.pid}/status").read_text()
    (resident,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident <= 80 * 1024


def test_sigterm_keeps_what_was_acknowledged(emulator: Emulator) -> None:
    emulator.start()
    trace_id = send(http_exporter(emulator))
    assert emulator.end(signal.SIGTERM) == 0
    emulator.start()
    assert emulator.has(trace_id)
    wait_for(lambda: emulator.searched(trace_id), 3)


def test_sigkill_keeps_what_was_searchable_and_loses_what_was_live(emulator: Emulator) -> None:
    emulator.start()
    kept = send(grpc_exporter(emulator))
    wait_for(lambda: emulator.searched(kept), 3)
    lost = send(grpc_exporter(emulator))
    assert emulator.has(lost)
    emulator.end(signal.SIGKILL)
    emulator.start()
    assert emulator.has(kept)
    assert not emulator.has(lost)
    wait_for(lambda: emulator.searched(kept), 1)


def test_shutdown_delay_is_unready_and_still_takes_spans(emulator: Emulator) -> None:
    emulator.start("-shutdown-delay=1s")
    assert emulator.process
    emulator.process.send_signal(signal.SIGTERM)
    wait_for(lambda: emulator.get("/ready").status_code == 503, 1)
    assert emulator.get("/ready").text == "Application is stopping\n"
    trace_id = send(http_exporter(emulator))
    assert emulator.process.wait(5) == 0
    emulator.start()
    assert emulator.has(trace_id)


def test_rate_limits_say_when_to_come_again(emulator: Emulator, tmp_path: Path) -> None:
    config = tmp_path / "limited.yaml"
    config.write_text(
        CONFIG.read_text() + "multitenancy_enabled: true\noverrides: {defaults: {ingestion: {burst_size_bytes: 50}}}\n"
    )
    emulator.start(config=config)
    error = call(emulator, push_body(b"0123456789abcdef", 100), (("x-scope-orgid", "tiny"),))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    (raw,) = (value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin")
    info = RetryInfo()
    assert Status.FromString(raw).details[0].Unpack(info)
    assert info.retry_delay.seconds == 5
    missing = call(emulator, push_body(b"0123456789abcdef"))
    assert missing is not None
    assert (missing.code(), missing.details()) == (grpc.StatusCode.UNAVAILABLE, "no org id")


def test_bad_starts(emulator: Emulator, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("server: {}\nnosuch: 1\n")
    ended = emulator.run(config=wrong)
    expected = f"failed parsing config: failed to parse configFile {wrong}: yaml: unmarshal errors:\n  line 2: field"
    assert (ended.returncode, ended.stderr.startswith(expected)) == (1, True)
    assert emulator.run("-config.verify=true").returncode == 0
    assert emulator.run("-config.verify").returncode == 2
    assert emulator.run("-nosuch=1").returncode == 2
    assert "v3.0.3+emu" in emulator.run("-version").stdout
    assert "dropped-span" in emulator.run("--defects").stdout


def test_a_taken_port_ends_the_start(emulator: Emulator) -> None:
    for port in (emulator.http, emulator.otlp_grpc):
        with closing(socket.socket()) as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
            holder.listen()
            ended = emulator.run()
            assert ended.returncode == 1
            assert "address already in use" in ended.stderr.lower()


def test_a_leased_port_is_free_to_take(emulator: Emulator) -> None:
    with closing(socket.socket()) as lease:
        lease.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        lease.bind(("127.0.0.1", emulator.otlp_grpc))
        emulator.start()
        assert call(emulator, push_body(b"0123456789abcdef")) is None
