"""The running emulator: captured requests replayed, the Python SDK's exporters, every page, bad input."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from tests.unit.emulators.otel_collector.otel_collector_rig import (
    CAPTURES,
    Backend,
    Running,
    backend,
    collector,
    command,
    environment,
    exporter_of,
    free_port,
    http_backend,
    synchronous,
    trace_request,
    until,
)

RESOURCE = Resource.create({"service.name": "shop", "service.instance.id": "i1"})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Backend]]:
    """One Collector of the stack's configuration with a working backend."""
    directory = tmp_path_factory.mktemp("shared")
    with backend() as target, collector(directory, f"127.0.0.1:{target.port}") as running:
        yield running, target


# -- captures -------------------------------------------------------------------------------------------------


def replay(running: Running, name: str) -> tuple[requests.Response, int, dict[str, str], bytes]:
    """Send a captured request; the answer, and the status, headers and body that were captured."""
    sent, received = (CAPTURES / name).read_bytes().split(b"\n--- ", 1)
    head, _, body = sent.partition(b"\n\n")
    first, *lines = head.decode().split("\n")
    method, path = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines if line)
    answer_head, _, answer_body = received.partition(b"\n\n")
    status, *answer_lines = answer_head.decode().split("\n")
    answer = requests.request(
        method, running.url("http", path), data=body.removesuffix(b"\n"), headers=headers, timeout=5
    )
    return answer, int(status.split()[0]), dict(line.split(": ", 1) for line in answer_lines), answer_body


@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURES.glob("*.http")))
def test_captured_answers(shared: tuple[Running, Backend], name: str) -> None:
    """Status, headers and body are those of the real Collector."""
    answer, status, headers, body = replay(shared[0], name)
    assert answer.status_code == status
    assert answer.content == body
    for key, value in headers.items():
        if key != "Date":
            assert answer.headers[key] == value


def raw_call(running: Running, method: str, body: bytes) -> bytes:
    """A gRPC call with any bytes."""
    with grpc.insecure_channel(f"127.0.0.1:{running.ports['grpc']}") as channel:
        call: Any = channel.unary_unary  # the stubs want serializers, the library does not
        return bytes(call(method)(body, timeout=5))


EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.mark.parametrize(
    ("method", "body", "code", "words"),
    [
        (EXPORT, b"\xff\xff\xff", grpc.StatusCode.INTERNAL, "grpc: error unmarshalling request: unexpected EOF"),
        (
            EXPORT, trace_request(trace_id=b"short").SerializeToString(), grpc.StatusCode.INTERNAL,
            "grpc: error unmarshalling request: unmarshal: invalid TraceID length",
        ),
        (
            EXPORT, bytes(5242994), grpc.StatusCode.RESOURCE_EXHAUSTED,
            "grpc: received message larger than max (5242994 vs. 4194304)",
        ),
        ("/foo.Bar/X", b"", grpc.StatusCode.UNIMPLEMENTED, "unknown service foo.Bar"),
        ("/grpc.health.v1.Health/Check", b"", grpc.StatusCode.UNIMPLEMENTED, "unknown service grpc.health.v1.Health"),
        (
            EXPORT.replace("Export", "Nope"), b"", grpc.StatusCode.UNIMPLEMENTED,
            "unknown method Nope for service opentelemetry.proto.collector.trace.v1.TraceService",
        ),
    ],
    ids=["not protobuf", "short id", "over 4 MiB", "unknown service", "health service", "unknown method"],
)  # fmt: skip
def test_grpc_errors(shared: tuple[Running, Backend], method: str, body: bytes, code: Any, words: str) -> None:
    """The status and words of the captures; the next good call works."""
    with pytest.raises(grpc.RpcError) as caught:
        raw_call(shared[0], method, body)
    assert (caught.value.code(), caught.value.details()) == (code, words)
    assert raw_call(shared[0], EXPORT, b"") == b"\x0a\x00"


@pytest.mark.parametrize("size", [20 * 1024 * 1024 + 1])
def test_large_bodies_are_refused(shared: tuple[Running, Backend], size: int) -> None:
    """Over 20 MiB, plain or once unpacked: 400, and the connection closes."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    url = shared[0].url("http", "/v1/traces")
    answer = requests.post(url, data=gzip.compress(bytes(size), 1), headers=headers, timeout=10)
    assert (answer.status_code, answer.json()) == (400, {"code": 3, "message": "http: request body too large"})
    assert answer.headers["Connection"] == "close"


def test_encodings_that_are_not_emulated(shared: tuple[Running, Backend]) -> None:
    """The real one unpacks zstd; the emulator says that it does not."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
    answer = requests.post(shared[0].url("http", "/v1/traces"), data=b"x", headers=headers, timeout=5)
    assert (answer.status_code, answer.text) == (501, "501 Content-Encoding zstd is not emulated")


# -- the SDK --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transport", "compressed"), [("grpc", False), ("grpc", True), ("http", False), ("http", True)]
)
def test_sdk_spans_arrive_once(shared: tuple[Running, Backend], transport: str, compressed: bool) -> None:
    """Through either transport, each span reaches the backend once and is counted at both ends."""
    running, target = shared
    until(lambda: running.metric("receiver_accepted_spans") == running.metric("exporter_sent_spans"))
    before = running.metric("exporter_sent_spans")
    provider = TracerProvider(resource=RESOURCE)
    exporter: SpanExporter
    if transport == "grpc":
        compression = grpc.Compression.Gzip if compressed else None
        exporter = GrpcSpanExporter(f"http://127.0.0.1:{running.ports['grpc']}", timeout=3, compression=compression)
    else:
        from opentelemetry.exporter.otlp.proto.http import Compression

        kind = Compression.Gzip if compressed else None
        exporter = HttpSpanExporter(running.url("http", "/v1/traces"), timeout=3, compression=kind)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = []
    for index in range(5):
        with provider.get_tracer("t").start_as_current_span(f"work {index}") as span:
            made.append(span.get_span_context().span_id.to_bytes(8, "big"))
    provider.shutdown()
    until(lambda: running.metric("exporter_sent_spans") - before == 5)
    assert running.metric("receiver_accepted_spans") - before == 5
    assert [target.spans.count(span_id) for span_id in made] == [1] * 5


def test_sdk_metrics_are_scraped_with_exemplars(shared: tuple[Running, Backend]) -> None:
    """A measurement inside a span leads from the scrape back to the trace."""
    running, _ = shared
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(running.url("http", "/v1/metrics"), timeout=3))
    meters = MeterProvider([reader], resource=RESOURCE)
    with TracerProvider(resource=RESOURCE).get_tracer("t").start_as_current_span("work") as span:
        meters.get_meter("m").create_counter("orders").add(2)
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    meters.shutdown()
    url = running.url("prometheus", "/metrics")
    accept = {"Accept": "application/openmetrics-text"}
    text = until(
        lambda: re.search(r"^orders_total\{.*$", requests.get(url, headers=accept, timeout=5).text, re.MULTILINE)
    )[0]
    assert 'job="shop"' in text
    assert f'trace_id="{trace_id}"' in text
    plain = requests.get(url, timeout=5)
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    assert " # {" not in plain.text


def test_span_metrics_and_service_graph_are_scraped(shared: tuple[Running, Backend]) -> None:
    """Spans become calls, durations and edges within a flush and an expiry."""
    running, _ = shared
    request = trace_request(3, service="counted")
    request.resource_spans[0].scope_spans[0].spans[0].kind = 2
    running.push(request)

    def scraped() -> bool:
        text = requests.get(running.url("prometheus", "/metrics"), timeout=5).text
        calls = re.findall(r'^traces_span_metrics_calls_total\{.*service_name="counted".*\} (\d+)', text, re.MULTILINE)
        edge = re.search(
            r'^traces_service_graph_request_total\{client="user".*server="counted"\} 1$', text, re.MULTILINE
        )
        return sum(map(int, calls)) == 3 and edge is not None

    until(scraped, 8)


# -- pages ----------------------------------------------------------------------------------------------------


def test_health_page(shared: tuple[Running, Backend]) -> None:
    """Any path, the shape of the capture."""
    answer = requests.get(shared[0].url("health", "/any"), timeout=5)
    assert answer.headers["Content-Type"] == "application/json"
    pattern = r'\{"status":"Server available","upSince":"\d{4}-[^"]+Z","uptime":"[\d.]+m?s"\}'
    assert re.fullmatch(pattern, answer.text)


def test_metrics_page(shared: tuple[Running, Backend]) -> None:
    """The version is marked as emulated; other paths are not found."""
    running, _ = shared
    text = requests.get(running.url("metrics", "/metrics"), timeout=5).text
    assert re.search(r'target_info\{.*service_name="otelcol-contrib",service_version="0\.159\.0\+emu"\} 1', text)
    assert requests.get(running.url("metrics", "/"), timeout=5).status_code == 404


def test_address_in_use_is_a_start_error(tmp_path: Path) -> None:
    """Exit 1 with the real words, whichever listener it is."""
    for listener, words in (
        ("grpc", 'cannot start pipelines: failed to start "otlp" receiver: listen tcp'),
        ("http", 'cannot start pipelines: failed to start "otlp" receiver: listen tcp'),
        ("health", "failed to start extensions: failed to start health_check: listen tcp"),
    ):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            ports = {name: free_port() for name in ("grpc", "http", "health", "prometheus", "metrics")}
            ports[listener] = taken.getsockname()[1]
            from tests.unit.emulators.otel_collector.otel_collector_rig import CONFIG

            env = environment(ports, tmp_path / "data", "127.0.0.1:1")
            words_line = command("--config", str(CONFIG))
            done = subprocess.run(
                words_line, env=env, capture_output=True, text=True, timeout=10, check=False, cwd=tmp_path
            )
        assert done.returncode == 1
        assert f"Error: {words} 127.0.0.1:{ports[listener]}: bind: address already in use" in done.stderr


def test_processors_on_the_wire(tmp_path: Path) -> None:
    """attributes, resource and filter in one pipeline, batch limits, and what filter dropped is counted."""

    def change(config: dict[str, Any]) -> None:
        config["processors"] |= {
            "resource": {"attributes": [{"key": "env", "action": "upsert", "value": "test"}]},
            "filter": {"traces": {"span": ['resource.attributes["service.name"] == "noise"']}},
            "batch": {"timeout": "50ms", "send_batch_size": 2, "send_batch_max_size": 2},
        }
        config["service"]["pipelines"]["traces"]["processors"] = ["memory_limiter", "filter", "resource", "batch"]

    with backend() as target, collector(tmp_path, f"127.0.0.1:{target.port}", change) as running:
        assert running.push(trace_request(3, service="noise")).status_code == 200
        assert running.push(trace_request(5)).status_code == 200
        until(lambda: len(target.spans) == 5)
        assert len(target.calls) == 3
        assert running.metric("processor_filter_spans_filtered") == 3
        assert running.metric("receiver_accepted_spans") == 8


def test_http_exporter(tmp_path: Path) -> None:
    """gzip protobuf to /v1/traces, Retry-After honoured, 400 dropped."""
    answers = [(503, {"Retry-After": "1"}), (200, {}), (400, {})]
    with http_backend(answers) as (url, seen):

        def change(config: dict[str, Any]) -> None:
            config["exporters"]["otlp_http"] = {"endpoint": url, "sending_queue": {"num_consumers": 1}}
            config["exporters"]["otlp_http"]["retry_on_failure"] = {
                "initial_interval": "10ms",
                "max_elapsed_time": "20s",
                "max_interval": "20s",
            }
            config["service"]["pipelines"]["traces"] |= {"exporters": ["otlp_http"], "processors": []}
            config["connectors"] = {}
            config["service"]["pipelines"]["metrics"]["receivers"] = ["otlp"]

        with collector(tmp_path, "127.0.0.1:1", change) as running:
            running.push(trace_request())
            until(lambda: running.metric("exporter_sent_spans", exporter="otlp_http") == 1)
            assert '"interval": "1s"' in running.log.read_text()
            running.push(trace_request())
            until(lambda: running.metric("exporter_send_failed_spans", error_type="InvalidArgument") == 1)
        assert seen[0]["path"] == "/v1/traces"
        assert seen[0]["Content-Encoding"] == "gzip"
        assert seen[0]["Content-Type"] == "application/x-protobuf"


# -- a backend that refuses, throttles or hangs, seen by a client without queue -----------------------------------


def test_synchronous_answers(tmp_path: Path) -> None:
    """The backend's verdict is the client's: 400, 429 with Retry-After, 503."""

    def change(config: dict[str, Any]) -> None:
        synchronous(config)
        exporter_of(config)["timeout"] = "300ms"

    with backend() as target, collector(tmp_path, f"127.0.0.1:{target.port}", change) as running:
        target.plan = [grpc.StatusCode.INVALID_ARGUMENT] * 2
        refused = running.push(trace_request())
        words = "Permanent error: rpc error: code = InvalidArgument desc = backend says no"
        status = trace_service_status(refused)
        assert (refused.status_code, status) == (400, (3, words))
        with pytest.raises(grpc.RpcError) as caught:
            running.push_grpc(trace_request())
        assert caught.value.details() == words
        target.plan, target.retry_info = [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2, 5
        limited = running.push(trace_request())
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "5")
        with pytest.raises(grpc.RpcError) as caught:
            running.push_grpc(trace_request())
        trailer: Any = caught.value.trailing_metadata()
        assert "grpc-status-details-bin" in dict(trailer)
        target.plan, target.retry_info = [0.6], 0
        slow = running.push(trace_request())
        assert (slow.status_code, trace_service_status(slow)) == (503, (4, "context deadline exceeded"))
        assert running.metric("receiver_refused_spans", transport="http") == 3
        assert running.metric("receiver_refused_spans", transport="grpc") == 2
        assert running.metric("exporter_send_failed_spans") == 5


def trace_service_status(answer: requests.Response) -> tuple[int, str]:
    """The google.rpc.Status in an answer."""
    from google.rpc import status_pb2  # type: ignore[import-untyped]

    status = status_pb2.Status.FromString(answer.content)
    return status.code, status.message


def test_synchronous_without_backend(tmp_path: Path) -> None:
    """503 code 14 and the dial error in Go's words."""
    port = free_port()
    with collector(tmp_path, f"127.0.0.1:{port}", synchronous) as running:
        body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}'
        headers = {"Content-Type": "application/json"}
        answer = requests.post(running.url("http", "/v1/traces"), data=body, headers=headers, timeout=5)
        dial = f"transport: Error while dialing: dial tcp 127.0.0.1:{port}: connect: connection refused"
        assert answer.status_code == 503
        assert answer.json() == {"code": 14, "message": f'connection error: desc = "{dial}"'}
        assert json.dumps(answer.json(), separators=(",", ":")) == answer.text


def test_memory_limiter_refuses(tmp_path: Path) -> None:
    """A limit below an idle process: every signal is refused, retryably, before anything else sees it."""

    def change(config: dict[str, Any]) -> None:
        config["processors"]["memory_limiter"] = {"check_interval": "50ms", "limit_mib": 2, "spike_limit_mib": 1}

    with collector(tmp_path, "127.0.0.1:1", change) as running:
        until(lambda: "Refusing data." in running.log.read_text())
        answer = running.push(trace_request(2))
        assert (answer.status_code, trace_service_status(answer)[1]) == (503, "data refused due to high memory usage")
        with pytest.raises(grpc.RpcError) as caught:
            running.push_grpc(trace_request())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert running.metric("processor_memory_limiter_refused_spans") == 3
        assert running.metric("receiver_refused_spans") == 3


def test_responses_decode(shared: tuple[Running, Backend]) -> None:
    """The protobuf success is a message with an empty partial success, present."""
    answer = shared[0].push(trace_request())
    decoded = trace_service.ExportTraceServiceResponse.FromString(answer.content)
    assert decoded.HasField("partial_success")
    assert os.environ.get("EMULATOR_DEFECTS", "") == ""
