"""Pipelines: signals, batches, attributes and filters, fan-out.

On Collectors of a test's own, with a backend of the test's own. Documents: opentelemetry-collector "Configuration",
"batchprocessor"; contrib "attributesprocessor", "resourceprocessor", "filterprocessor".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from harness.model import Endpoint
from harness.probes.exposition import total
from harness.probes.http import expect
from harness.probes.otlp_sink import OtlpSink
from harness.probes.poll import Deadline, NotYet, poll
from harness.runtimes.child import Child
from harness.services.otlp_client import any_value, export_grpc, export_http, key_values, make_span, trace_request

DELIVERED_WITHIN = 10.0
SIGNALS = ("traces", "metrics", "logs")


@dataclass(frozen=True)
class Own:
    """A running Collector of one test, which forwards to the test's sink."""

    server: Child
    otlp: Endpoint
    grpc: Endpoint
    metrics: Endpoint
    sink: OtlpSink

    def delivered(self, count: int, path: str = "/v1/traces") -> list[Any]:
        """The items that arrived at a path of the sink, once there are `count`; more fails."""

        def look() -> list[Any]:
            found = self.sink.items(path)
            assert len(found) <= count, f"expected {count} items, {len(found)} arrived"
            if len(found) < count:
                raise NotYet(f"{len(found)} of {count} items")
            return found

        return poll(look, Deadline.after(DELIVERED_WITHIN), f"delivery at {path}", self.server.exit_report)

    def counted(self, name: str, **labels: str) -> float:
        """One of its own counters, over all series that carry these labels."""
        return total(expect(200, self.metrics, "/metrics").text, f"otelcol_{name}", **labels)


def configuration(otlp: str, grpc: str, metrics: Endpoint, sink: str) -> dict[str, Any]:
    """Three pipelines from one receiver to one exporter."""
    reader = {"host": metrics.host, "port": metrics.port, "without_type_suffix": True, "without_units": True}
    pipeline = {"receivers": ["otlp"], "exporters": ["otlp_http"]}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": otlp}, "grpc": {"endpoint": grpc}}}},
        "exporters": {"otlp_http": {"endpoint": sink, "compression": "gzip", "timeout": "2s"}},
        "service": {
            "telemetry": {"metrics": {"readers": [{"pull": {"exporter": {"prometheus": reader}}}]}},
            "pipelines": {signal: dict(pipeline) for signal in SIGNALS},
        },
    }


def processors(**settings: Mapping[str, Any]) -> dict[str, Any]:
    """A change that puts processors, in this order, into all three pipelines."""
    pipelines = {signal: {"processors": list(settings)} for signal in SIGNALS}
    return {"processors": settings, "service": {"pipelines": pipelines}}


@pytest.fixture
def collector(
    start_collector: Callable[..., Child],
    collector_file: Callable[..., Path],
    lease: Callable[..., Endpoint],
    sink: OtlpSink,
) -> Callable[..., Own]:
    """`collector(change, environment={})`: start one whose configuration differs by `change`, and wait for it."""

    def start(change: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Own:
        otlp, grpc, metrics = lease("otlp_http"), lease("otlp_grpc", "grpc"), lease("metrics")
        config = configuration(otlp.address, grpc.address, metrics, sink.endpoint.url)
        file = collector_file(config, change or {})
        server = start_collector(file, metrics, otlp, grpc, environment=environment)
        return Own(server, otlp, grpc, metrics, sink)

    return start


def attributes(item: Any) -> dict[str, str]:
    """Text attributes of a span, a record or a resource."""
    return {pair.key: pair.value.string_value for pair in item.attributes}


def log_request(**bodies: int) -> Any:
    """A request with one log record for each text, by severity number."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for body, severity in bodies.items():
        scope.log_records.add(time_unix_nano=time.time_ns(), severity_number=severity, body=any_value(body))
    return request


def metric_request(**values: int) -> Any:
    """A request with one gauge for each name."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for name, value in values.items():
        scope.metrics.add(name=name, unit="By").gauge.data_points.add(
            as_int=value, time_unix_nano=time.time_ns(), attributes=key_values({"kind": "test"})
        )
    return request


def test_logs_and_metrics_are_forwarded_unchanged(collector: Callable[..., Own]) -> None:
    """Every field of a record and of a gauge reaches the backend, by every protocol. Source: otlpreceiver, README."""
    own, logs, gauges = collector(), log_request(paid=9, declined=17), metric_request(memory=2**40)
    for request in (logs, gauges):
        export_grpc(own.grpc, request)
        assert export_http(own.otlp, request, encoding="protobuf").status == 200
        assert export_http(own.otlp, request, encoding="json").status == 200

    assert own.delivered(6, "/v1/logs") == 3 * list(logs.resource_logs[0].scope_logs[0].log_records)
    assert own.delivered(3, "/v1/metrics") == 3 * list(gauges.resource_metrics[0].scope_metrics[0].metrics)
    assert own.counted("receiver_accepted_log_records") == own.counted("exporter_sent_log_records") == 6
    assert own.counted("receiver_accepted_metric_points") == own.counted("exporter_sent_metric_points") == 3


def test_a_signal_without_a_pipeline_is_refused(collector: Callable[..., Own]) -> None:
    """What goes nowhere is not taken. Source: "Configuration", pipelines; otlpreceiver."""
    own = collector({"service": {"pipelines": {"metrics": None}}})
    assert export_http(own.otlp, metric_request(a=1)).status == 404
    assert export_http(own.otlp, log_request(a=9)).status == 200
    own.delivered(1, "/v1/logs")


def test_small_requests_are_sent_as_one_batch(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """Ten spans, once they are ten, in one request. Source: batchprocessor, `send_batch_size`."""
    own = collector(processors(batch={"timeout": "60s", "send_batch_size": 10}))
    for _ in range(9):
        assert export_http(own.otlp, trace_request({}, [make_span()])).status == 200
    assert sink.requests == []
    assert export_http(own.otlp, trace_request({}, [make_span()])).status == 200

    own.delivered(10)
    assert [len(one.items) for one in sink.requests] == [10]
    assert own.counted("processor_batch_batch_size_trigger_send") == 1


def test_an_incomplete_batch_is_sent_when_its_time_is_over(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """Data waits no longer than `timeout`, and less when it comes while an empty batch waits: the timer runs from the
    start, or from what was sent last. Source: batchprocessor, `timeout`."""
    own = collector(processors(batch={"timeout": "400ms", "send_batch_size": 1000}))
    sent = time.monotonic()
    for _ in range(3):
        assert export_http(own.otlp, trace_request({}, [make_span()])).status == 200

    own.delivered(3)

    waited = sink.requests[0].at - sent
    assert sum(len(one.items) for one in sink.requests) == 3
    assert waited < 3, f"sent after {waited:.2f} s"
    assert own.counted("processor_batch_timeout_trigger_send") == len(sink.requests)


def test_a_large_request_is_split_without_loss(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """No request is larger than the backend takes. Source: batchprocessor, `send_batch_max_size`."""
    own = collector(processors(batch={"timeout": "100ms", "send_batch_size": 10, "send_batch_max_size": 10}))
    spans = [make_span(f"op-{number}") for number in range(25)]
    assert export_http(own.otlp, trace_request({"service.name": "own"}, spans)).status == 200

    assert {span.name for span in own.delivered(25)} == {span.name for span in spans}
    assert sorted(len(one.items) for one in sink.requests) == [5, 10, 10]
    assert {attributes(one.message.resource_spans[0].resource)["service.name"] for one in sink.requests} == {"own"}


def test_attributes_are_inserted_updated_upserted_and_deleted(collector: Callable[..., Own]) -> None:
    """How a platform marks data with its environment and takes secrets out. Source: attributesprocessor, README."""
    actions = [
        {"key": "env", "value": "test", "action": "insert"},
        {"key": "user", "value": "new", "action": "insert"},
        {"key": "region", "value": "eu", "action": "update"},
        {"key": "absent", "value": "x", "action": "update"},
        {"key": "tier", "value": "gold", "action": "upsert"},
        {"key": "copy", "from_attribute": "user", "action": "upsert"},
        {"key": "password", "action": "delete"},
    ]
    own = collector(processors(attributes={"actions": actions}))
    given = {"user": "old", "region": "us", "tier": "tin", "password": "secret", "kept": "yes"}
    assert export_http(own.otlp, trace_request(given, [make_span(attributes=given)])).status == 200

    (span,) = own.delivered(1)

    assert attributes(span) == {
        "user": "old", "region": "eu", "tier": "gold", "kept": "yes", "env": "test", "copy": "old",
    }  # fmt: skip
    resource = own.sink.requests[0].message.resource_spans[0].resource
    assert attributes(resource) == given, "the resource's attributes are another processor's business"


def test_resource_attributes_are_set_on_every_signal(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """The cluster's name on traces, metrics and logs alike. Source: resourceprocessor, README."""
    own = collector(processors(resource={"attributes": [{"key": "cluster", "value": "blue", "action": "upsert"}]}))
    for request in (trace_request({"cluster": "red"}, [make_span()]), metric_request(a=1), log_request(a=9)):
        assert export_http(own.otlp, request).status == 200
    for signal in SIGNALS:
        own.delivered(1, f"/v1/{signal}")

    messages = {one.path: one.message for one in sink.requests}
    groups = {path: next(iter(message.ListFields()))[1][0] for path, message in messages.items()}
    assert {path: attributes(group.resource) for path, group in groups.items()} == {
        f"/v1/{signal}": {"cluster": "blue"} for signal in SIGNALS
    }


def test_a_filter_drops_what_matches_and_nothing_else(collector: Callable[..., Own]) -> None:
    """Health-check spans and debug records are dropped and counted. Source: filterprocessor, README."""
    conditions = {
        "error_mode": "ignore",
        "traces": {"span": ['attributes["http.route"] == "/health"', 'name == "noise"']},
        "logs": {"log_record": ["severity_number == 5"]},
    }
    own = collector(processors(filter=conditions))
    routes = ["/health", "/pay", "/health", "/healthy"]
    spans = [make_span("call", attributes={"http.route": route}) for route in routes] + [make_span("noise")]
    assert export_http(own.otlp, trace_request({}, spans)).status == 200
    assert export_http(own.otlp, log_request(debug=5, info=9, error=17)).status == 200

    assert [attributes(span)["http.route"] for span in own.delivered(2)] == ["/pay", "/healthy"]
    assert [record.body.string_value for record in own.delivered(2, "/v1/logs")] == ["info", "error"]
    assert own.counted("processor_filter_spans_filtered") == 3
    assert own.counted("receiver_accepted_spans") == own.counted("exporter_sent_spans") + 3


def test_one_backend_that_is_away_does_not_hold_up_the_other(
    collector: Callable[..., Own], lease: Callable[..., Endpoint]
) -> None:
    """Each exporter has its own queue. Source: "Configuration", exporters; exporterhelper."""
    exporters = ["otlp_http", "otlp_http/away"]
    away = {"endpoint": lease("away").url, "timeout": "1s"}
    own = collector(
        {"exporters": {"otlp_http/away": away}, "service": {"pipelines": {"traces": {"exporters": exporters}}}}
    )
    for _ in range(5):
        assert export_http(own.otlp, trace_request({}, [make_span()])).status == 200
    own.delivered(5)

    def counted() -> None:  # after the backend's answer, which is after what arrived there
        if (seen := own.counted("exporter_sent_spans", exporter="otlp_http")) != 5:
            raise NotYet(f"{seen} of 5")

    poll(counted, Deadline.after(DELIVERED_WITHIN), "what was sent to be counted", own.server.exit_report)
    assert own.counted("exporter_sent_spans", exporter="otlp_http/away") == 0


def test_values_come_from_the_environment_with_their_defaults(collector: Callable[..., Own]) -> None:
    """One file for every stage. Source: "Configuration", environment variables: `${env:NAME:-default}`."""
    actions = [
        {"key": "set", "value": "${env:OWN_STAGE:-none}", "action": "insert"},
        {"key": "unset", "value": "${env:OWN_NOWHERE:-fallback}", "action": "insert"},
        {"key": "escaped", "value": "$${env:OWN_STAGE}", "action": "insert"},
    ]
    own = collector(processors(attributes={"actions": actions}), {"OWN_STAGE": "canary"})
    assert export_http(own.otlp, trace_request({}, [make_span()])).status == 200
    (span,) = own.delivered(1)
    assert attributes(span) == {"set": "canary", "unset": "fallback", "escaped": "${env:OWN_STAGE}"}
