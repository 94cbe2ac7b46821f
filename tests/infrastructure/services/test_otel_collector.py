"""The stack's Collector: what it takes, what it forwards, what it makes of spans, and what it says of itself.

Documents: opentelemetry-collector "otlpreceiver", "Internal telemetry"; contrib "spanmetrics", "servicegraph",
"prometheusexporter", "healthcheckextension".
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData
from opentelemetry.trace import format_span_id, format_trace_id

from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.probes.exposition import Sample, samples, total
from harness.probes.http import expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace
from harness.services.http_session import ServiceSession
from harness.services.otel_client import CollectorClient
from harness.services.otlp_client import export_grpc, export_http, make_span, trace_request

ARRIVES_WITHIN = 10.0
"""Seconds for data to pass: 0.2 s of batching, and a second until connectors flush their metrics."""
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def marks(namespace: Namespace) -> dict[str, str]:
    """Resource attributes that mark what this test sends; the service's name is unique to it."""
    return {"service.name": f"shop-{namespace.name}", **namespace.of("otel_collector")}


def scraped(collector: CollectorClient, name: str, count: float, **labels: str) -> list[Sample]:
    """Samples on the Prometheus port once their sum is `count`. More than that fails at once."""

    def ask() -> list[Sample]:
        found = samples(collector.prometheus.get("/metrics", headers=OPEN_METRICS).text, name, **labels)
        seen = sum(one.value for one in found)
        assert seen <= count, f"{name}: expected {count}, counted {found}"
        if seen < count:
            raise NotYet(f"{seen} of {count}")
        return found

    return poll(ask, Deadline.after(ARRIVES_WITHIN), f"{name} {labels}")


def forwarded(tempo: ServiceSession, trace: str, count: int) -> Any:
    """The trace as the backend has it, once it has `count` spans."""

    def ask() -> Any:
        answer = tempo.get(f"/api/traces/{trace}", headers={"Accept": "application/protobuf"})
        data = TracesData.FromString(answer.content if answer.status_code == 200 else b"")
        found = sum(len(scoped.spans) for group in data.resource_spans for scoped in group.scope_spans)
        assert found <= count, f"sent {count} spans, the backend has {found}"
        if found < count:
            raise NotYet(f"HTTP {answer.status_code}, {found} of {count} spans")
        return data

    return poll(ask, Deadline.after(ARRIVES_WITHIN), f"trace {trace}")


@pytest.mark.parametrize("way", ["grpc", "http protobuf", "http json"])
def test_a_trace_is_forwarded_unchanged_whichever_protocol_brought_it(
    way: str, stack: RemoteStack, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """Ids, times, attributes, events and status reach the backend as sent. Source: otlpreceiver, README."""
    trace = secrets.token_hex(16)
    event = Span.Event(name="retry", time_unix_nano=time.time_ns())
    failed = Status(code=Status.STATUS_CODE_ERROR, message="declined")
    sent = make_span("pay", trace=trace, attributes={"order.total": 42}, events=[event], status=failed)
    if way == "grpc":
        export_grpc(stack["otel-collector"].endpoint("otlp_grpc"), trace_request(marks, [sent]))
    else:
        answer = export_http(
            stack["otel-collector"].endpoint("otlp_http"), trace_request(marks, [sent]), encoding=way.split()[1]
        )
        assert (answer.status, answer.body) in {(200, b'{"partialSuccess":{}}'), (200, b"\n\x00")}, answer

    (group,) = forwarded(tempo, trace, 1).resource_spans
    (found,) = group.scope_spans[0].spans

    found.ClearField("flags")
    assert found == sent
    assert {item.key: item.value.string_value for item in group.resource.attributes} == marks


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        ("{bad", "application/json", 400, "ReadObject"),
        ('{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abcd"}]}]}]}', "application/json", 400, "length"),
        ("\xff\xff\xff", "application/x-protobuf", 400, ""),
        ("{}", "text/plain", 415, "415 unsupported media type"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    otel_collector: CollectorClient, body: str, content_type: str, status: int, said: str
) -> None:
    """A client's mistake is a 4xx, which no SDK retries, and says what is wrong. Source: OTLP, "Failures"."""
    headers = {"Content-Type": content_type}
    answer = otel_collector.otlp.post("/v1/traces", data=body.encode("latin-1"), headers=headers)

    assert answer.status_code == status, answer.text
    assert said in answer.text
    if content_type == "application/json":
        assert answer.json()["code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_only_posts_to_the_paths_of_signals_are_taken(otel_collector: CollectorClient) -> None:
    """A wrong path or method is told apart from wrong data. Source: otlpreceiver; OTLP, "OTLP/HTTP Request"."""
    headers = {"Content-Type": "application/json"}
    wrong_path = otel_collector.otlp.post("/v1/spans", data="{}", headers=headers)
    wrong_method = otel_collector.otlp.get("/v1/traces")
    assert (wrong_path.status_code, wrong_path.text) == (404, "404 page not found\n")
    assert (wrong_method.status_code, "supported: [POST]" in wrong_method.text) == (405, True)
    taken = [otel_collector.otlp.post(f"/v1/{signal}", data="{}", headers=headers) for signal in ("metrics", "logs")]
    assert [(answer.status_code, answer.json()) for answer in taken] == [(200, {"partialSuccess": {}})] * 2


@pytest.mark.usefixtures("health_check")
def test_health_tells_since_when_it_is_up(otel_collector: CollectorClient) -> None:
    """The health check of load balancers and orchestrators: a status, and how long. Source: healthcheckextension."""
    answer = otel_collector.health.get("/")
    seen = answer.json()
    assert (answer.status_code, seen["status"]) == (200, "Server available")
    since = datetime.fromisoformat(seen["upSince"][:19]).replace(tzinfo=UTC)
    assert since <= datetime.now(UTC)
    assert otel_collector.health.get("/").json()["upSince"] == seen["upSince"]


@pytest.mark.usefixtures("scraping")
def test_calls_and_their_durations_are_counted_by_service_operation_and_status(
    otel_collector: CollectorClient, otlp: Endpoint, marks: dict[str, str]
) -> None:
    """Every span is one call in the bucket its duration belongs to. Source: spanmetrics, README "Metrics"."""
    failed = Status(code=Status.STATUS_CODE_ERROR)
    spans = [make_span("buy", kind=Span.SPAN_KIND_SERVER, milliseconds=ms) for ms in (3, 70, 70)]
    spans.append(make_span("buy", kind=Span.SPAN_KIND_SERVER, milliseconds=900, status=failed))
    assert export_http(otlp, trace_request(marks, spans)).status == 200

    mine = {"service_name": marks["service.name"], "span_name": "buy", "span_kind": "SPAN_KIND_SERVER"}
    calls = scraped(otel_collector, "traces_span_metrics_calls", 4, **mine)
    assert {one.labels["status_code"]: one.value for one in calls} == {"STATUS_CODE_UNSET": 3, "STATUS_CODE_ERROR": 1}
    page = otel_collector.prometheus.get("/metrics").text
    duration, good = "traces_span_metrics_duration_milliseconds", {**mine, "status_code": "STATUS_CODE_UNSET"}
    buckets = {float(one.labels["le"]): one.value for one in samples(page, f"{duration}_bucket", **good)}
    assert (buckets[2], buckets[4], buckets[50], buckets[100], buckets[float("inf")]) == (0, 1, 1, 3, 3)
    assert total(page, f"{duration}_sum", **good) == pytest.approx(143)
    assert total(page, f"{duration}_count", **mine) == 4


@pytest.mark.usefixtures("scraping")
def test_a_call_between_services_is_an_edge_of_the_service_graph(
    otel_collector: CollectorClient, otlp: Endpoint, marks: dict[str, str]
) -> None:
    """Client and server span of one call are one edge, with its failures. Source: servicegraph, README."""
    caller, callee = f"a-{marks['service.name']}", f"b-{marks['service.name']}"
    trace = secrets.token_hex(16)
    client = make_span("call", trace=trace, kind=Span.SPAN_KIND_CLIENT, milliseconds=20)
    failed = Status(code=Status.STATUS_CODE_ERROR)
    server = make_span("serve", trace=trace, parent=client.span_id, kind=Span.SPAN_KIND_SERVER, status=failed)
    assert export_http(otlp, trace_request({**marks, "service.name": caller}, [client])).status == 200
    assert export_http(otlp, trace_request({**marks, "service.name": callee}, [server])).status == 200

    (edge,) = scraped(otel_collector, "traces_service_graph_request", 1, client=caller, server=callee)

    assert edge.labels["failed"] == "true"
    page = otel_collector.prometheus.get("/metrics").text
    assert total(page, "traces_service_graph_request_failed", client=caller, server=callee) == 1
    seconds = total(page, "traces_service_graph_request_client_seconds_sum", client=caller, server=callee)
    assert seconds == pytest.approx(0.02)


@pytest.mark.usefixtures("scraping")
def test_metrics_of_an_application_are_scraped_with_its_labels(
    otel_collector: CollectorClient, marks: dict[str, str]
) -> None:
    """A counter and a gauge pushed by OTLP stand on the scrape page, a second push replaces, not adds.

    Source: prometheusexporter, README.
    """
    with otel_collector.sdk(marks["service.name"]) as sdk:
        sold, stock = sdk.meter.create_counter("items.sold"), sdk.meter.create_up_down_counter("items.stock")
        sold.add(3, {"kind": "book"})
        stock.add(7)
        sdk.flush_metrics()
        sold.add(2, {"kind": "book"})
        assert sdk.flush_metrics() == 2

    (one,) = scraped(otel_collector, "items_sold", 5, job=marks["service.name"])
    assert one.labels["kind"] == "book"
    scraped(otel_collector, "items_stock", 7, job=marks["service.name"])


@pytest.mark.usefixtures("scraping")
def test_an_exemplar_leads_from_a_metric_to_the_trace_that_made_it(
    otel_collector: CollectorClient, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """A measurement within a span carries that span's ids to the scrape page, and the trace exists.

    Source: OpenTelemetry specification, "Exemplar"; prometheusexporter, `enable_open_metrics`.
    """
    with otel_collector.sdk(marks["service.name"], marks) as sdk:
        counter = sdk.meter.create_counter("orders")
        with sdk.tracer.start_as_current_span("order") as span:
            counter.add(1)
        sdk.flush_spans()
        sdk.flush_metrics()
        (sample,) = scraped(otel_collector, "orders", 1, job=marks["service.name"])  # closing exports once more
    context = span.get_span_context()

    expected = {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}
    assert sample.exemplar == expected
    forwarded(tempo, expected["trace_id"], 1)


@pytest.mark.usefixtures("scraping")
def test_span_metrics_carry_exemplars_of_their_spans(
    otel_collector: CollectorClient, otlp: Endpoint, marks: dict[str, str]
) -> None:
    """A latency bucket names a trace that fell into it. Source: spanmetrics, README `exemplars`."""
    slow = make_span("search", trace=secrets.token_hex(16), milliseconds=700)
    assert export_http(otlp, trace_request(marks, [slow])).status == 200

    def ask() -> list[Sample]:
        page = otel_collector.prometheus.get("/metrics", headers=OPEN_METRICS).text
        name, mine = "traces_span_metrics_duration_milliseconds_bucket", {"service_name": marks["service.name"]}
        found = [one for one in samples(page, name, **mine) if one.exemplar]  # only until the next flush
        if not found:
            raise NotYet(f"no exemplar on {len(samples(page, name, **mine))} buckets")
        return found

    for one in poll(ask, Deadline.after(ARRIVES_WITHIN), "exemplars of span metrics"):
        assert one.exemplar == {"trace_id": slow.trace_id.hex(), "span_id": slow.span_id.hex()}
        assert (one.value, float(one.labels["le"]) > 700) == (1, True)


def test_logs_end_in_the_exporter_that_the_stack_gives_them(
    stack: RemoteStack, otel_collector: CollectorClient
) -> None:
    """What an application logs is taken, passed on and counted: nothing of it is refused or lost on the way.

    Source: "Internal telemetry", `otelcol_receiver_accepted_log_records`, `otelcol_exporter_sent_log_records`.
    """
    record = {"timeUnixNano": str(time.time_ns()), "severityNumber": 9, "body": {"stringValue": "paid"}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record] * 3}]}]}

    def counted() -> tuple[float, float]:
        page = otel_collector.metrics.get("/metrics").text
        return total(page, "otelcol_exporter_sent_log_records", exporter="debug"), total(
            page, "otelcol_exporter_send_failed_log_records", exporter="debug"
        )

    before = counted()
    expect(200, stack["otel-collector"].endpoint("otlp_http"), "/v1/logs", "POST", body=body)

    def passed_on() -> None:
        sent, failed = counted()
        assert failed == before[1]
        if sent < before[0] + 3:
            raise NotYet(f"{sent - before[0]} of 3 sent")

    poll(passed_on, Deadline.after(ARRIVES_WITHIN), "three log records to be sent")
