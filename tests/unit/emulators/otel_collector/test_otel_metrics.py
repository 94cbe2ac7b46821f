"""Span metrics, the service graph and the Prometheus page, held against what a real Collector printed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from harness.emulators.otel_collector.exposition import Family, render
from harness.emulators.otel_collector.failures import Failure
from harness.emulators.otel_collector.prometheus_exporter import PrometheusStore
from harness.emulators.otel_collector.prometheus_names import label_name, metric_name
from harness.emulators.otel_collector.servicegraph import ServiceGraph
from harness.emulators.otel_collector.settings import decode
from harness.emulators.otel_collector.signals import METRICS
from harness.emulators.otel_collector.spanmetrics import SpanMetrics
from harness.emulators.otel_collector.telemetry import COUNTERS, HISTOGRAMS, Telemetry
from tests.unit.emulators.otel_collector.otel_collector_rig import CAPTURES, trace_request

CLIENT, SERVER, ERROR = 3, 2, 2
_RESOURCE_LABEL = re.compile(r'(service|telemetry)_\w+="[^"]*",?')


def configured(connector: str = "span_metrics", **changes: Any) -> dict[str, Any]:
    """A connector's settings, decoded from what a user would write."""
    raw = {
        "receivers": {"otlp": {"protocols": {"grpc": None}}},
        "exporters": {"debug": None, "prometheus": {"endpoint": "127.0.0.1:1", "without_scope_info": True}},
        "connectors": {"span_metrics": {}, "service_graph": {}, connector: changes},
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}}},
    }
    return dict(decode(raw).components["connectors"][connector].settings)


def store(clock: Callable[[], float] = lambda: 0.0, **changes: Any) -> PrometheusStore:
    """A Prometheus exporter without scope labels."""
    raw = {
        "receivers": {"otlp": {"protocols": {"grpc": None}}},
        "exporters": {"prometheus": {"endpoint": "127.0.0.1:1", "without_scope_info": True, **changes}},
        "service": {"pipelines": {"metrics": {"receivers": ["otlp"], "exporters": ["prometheus"]}}},
    }
    return PrometheusStore(decode(raw).components["exporters"]["prometheus"].settings, clock)


def take(target: PrometheusStore, request: Any) -> None:
    """Push synchronously: the store never waits."""
    with pytest.raises(StopIteration):
        target.push(request).send(None)


def samples(families: Iterable[Family], *, open_metrics: bool = False) -> list[str]:
    """The printed lines without comments."""
    return [line for line in render(families, open_metrics).splitlines() if not line.startswith("#")]


def span(request: Any, **fields: Any) -> Any:
    """Add a span to the first scope."""
    return request.resource_spans[0].scope_spans[0].spans.add(**fields)


def captured(name: str) -> list[str]:
    """The lines of a capture without comments."""
    return [line for line in (CAPTURES / name).read_text().splitlines() if line and not line.startswith("#")]


def test_span_metrics_as_captured() -> None:
    """Three server spans of 99.999744 ms print what the real Collector printed."""
    request = trace_request(0, service="a")
    for _ in range(3):
        end = 1795222802880659968
        span(request, name="x", kind=SERVER, start_time_unix_nano=1795222802780660224, end_time_unix_nano=end)
    connector = SpanMetrics(configured(add_resource_attributes=True), "id")
    connector.observe(request)
    target = store()
    take(target, connector.collect())
    ours = [line.replace('collector_instance_id="id",', "") for line in samples(target.families())]
    assert ours == captured("prom_8889_span_metrics.txt"), "the capture was taken with that dimension excluded"


def test_service_graph_as_captured() -> None:
    """A client and its failed server, and the entry point's virtual client, print what the real one printed."""
    now = [1000.0]
    trace_id, start = b"t" * 16, 10**18
    front = trace_request(0, service="front")
    span(
        front,
        trace_id=trace_id,
        span_id=b"entry000",
        kind=SERVER,
        start_time_unix_nano=start,
        end_time_unix_nano=start + 300_000_000,
    )
    call = span(
        front, trace_id=trace_id, span_id=b"call0000", parent_span_id=b"entry000", kind=CLIENT,
        start_time_unix_nano=start, end_time_unix_nano=start + 200_000_000,
    )  # fmt: skip
    call.status.code = ERROR
    back = trace_request(0, service="back")
    span(
        back, trace_id=trace_id, span_id=b"back0000", parent_span_id=b"call0000", kind=SERVER,
        start_time_unix_nano=start, end_time_unix_nano=start + 99_999_744,
    )  # fmt: skip
    telemetry = Telemetry()
    graph = ServiceGraph(configured("service_graph"), telemetry, lambda: now[0])
    graph.observe(front)
    graph.observe(back)
    now[0] += 3
    graph.expire()
    target = store()
    take(target, graph.collect())
    assert sorted(samples(target.families())) == sorted(captured("prom_8889_service_graph.txt"))
    assert telemetry.value("connector_servicegraph_total_edges") == 2
    assert telemetry.value("connector_servicegraph_expired_edges") == 1


def graph_with(now: list[float], **changes: Any) -> tuple[ServiceGraph, Telemetry]:
    """A service graph on a hand-driven clock."""
    telemetry = Telemetry()
    return ServiceGraph(configured("service_graph", **changes), telemetry, lambda: now[0]), telemetry


def edge_labels(graph: ServiceGraph) -> list[dict[str, str]]:
    """The labels of every request_total series."""
    target = store()
    take(target, graph.collect())
    name = "traces_service_graph_request_total"
    return [dict(sample.labels) for family in target.families() if family.name == name for sample in family.samples]


def test_service_graph_database_and_silent_peer() -> None:
    """A database answers with no span of its own; a peer that never reports is named from the client's attributes."""
    now = [0.0]
    graph, _ = graph_with(now)
    request = trace_request(0, service="shop")
    query = span(request, trace_id=b"a" * 16, span_id=b"b" * 8, kind=CLIENT)
    query.attributes.add(key="db.name").value.string_value = "orders"
    call = span(request, trace_id=b"a" * 16, span_id=b"c" * 8, kind=CLIENT)
    call.attributes.add(key="net.peer.name").value.string_value = "mail"
    graph.observe(request)
    now[0] = 10
    graph.expire()
    found = {labels["server"]: labels["connection_type"] for labels in edge_labels(graph)}
    assert found == {"orders": "database", "mail": "virtual_node"}


def test_service_graph_store_is_bounded() -> None:
    """Spans that would need one edge too many are dropped and counted."""
    graph, telemetry = graph_with([0.0], store={"max_items": 2, "ttl": "2s"})
    request = trace_request(0, service="shop")
    for index in range(5):
        span(request, trace_id=b"a" * 16, span_id=bytes([index + 1]) * 8, kind=CLIENT)
    graph.observe(request)
    assert telemetry.value("connector_servicegraph_dropped_spans") == 3


def test_span_metrics_dimensions_and_exemplars() -> None:
    """The five dimensions every series has; exemplars last one flush."""
    connector = SpanMetrics(configured(exemplars={"enabled": True}), "me", lambda: 100.0)
    connector.observe(trace_request(1))
    calls, durations = connector.collect().resource_metrics[0].scope_metrics[0].metrics
    names = {pair.key: pair.value.string_value for pair in calls.sum.data_points[0].attributes}
    assert names == {
        "service.name": "probe", "span.name": "work", "span.kind": names["span.kind"],
        "status.code": "STATUS_CODE_UNSET", "collector.instance.id": "me",
    }  # fmt: skip
    assert len(durations.histogram.data_points[0].exemplars) == 1
    again = connector.collect().resource_metrics[0].scope_metrics[0].metrics[1]
    assert not again.histogram.data_points[0].exemplars


def sdk_metrics() -> Any:
    """What the Python SDK sent when the OpenMetrics capture was taken."""
    request = METRICS.request()
    group = request.resource_metrics.add()
    for key, value in (
        ("telemetry.sdk.language", "python"), ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.version", "1.45.2"),
        ("service.name", "pyapp"), ("service.instance.id", "i1"),
    ):  # fmt: skip
        group.resource.attributes.add(key=key).value.string_value = value
    metrics = group.scope_metrics.add().metrics
    trace = {
        "trace_id": bytes.fromhex("18f0a3c5275562d47f32d510a3182f6d"),
        "span_id": bytes.fromhex("858bd272f94b16b3"),
    }
    done = metrics.add(name="jobs.done")
    done.sum.is_monotonic, done.sum.aggregation_temporality = True, 2
    for kind, count in (("a", 3), ("nospan", 1)):
        point = done.sum.data_points.add(as_int=count)
        point.attributes.add(key="kind").value.string_value = kind
    done.sum.data_points[0].exemplars.add(as_int=3, time_unix_nano=1795223847600815000, **trace)
    duration = metrics.add(name="job.duration", unit="s")
    duration.histogram.aggregation_temporality = 2
    bounds = [0.0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000]
    point = duration.histogram.data_points.add(
        count=1, sum=0.25, explicit_bounds=bounds, bucket_counts=[0, 1, *[0] * 14]
    )
    point.attributes.add(key="kind").value.string_value = "a"
    point.exemplars.add(as_double=0.25, time_unix_nano=1795223847600927800, **trace)
    return request


def test_open_metrics_as_captured() -> None:
    """Names, units, exemplars and target_info, byte for byte but for the resource's labels on each line.

    The capture was taken with `resource_to_telemetry_conversion`, which is not emulated.
    """
    target = store()
    take(target, sdk_metrics())
    printed = render(target.families(), open_metrics=True).splitlines()
    wanted = [
        line if line.startswith("target_info") else _RESOURCE_LABEL.sub("", line).replace(",}", "}")
        for line in (CAPTURES / "prom_openmetrics.txt").read_text().splitlines()
        if "traces_span_metrics" not in line
    ]  # fmt: skip
    assert printed == wanted


def test_text_format_has_no_exemplars() -> None:
    """Only OpenMetrics carries them."""
    target = store()
    take(target, sdk_metrics())
    assert " # {" not in render(target.families(), open_metrics=False)


def test_series_expire() -> None:
    """A series nobody updates leaves after metric_expiration."""
    now = [0.0]
    target = store(lambda: now[0], metric_expiration="5s")
    take(target, sdk_metrics())
    now[0] = 4
    assert target.families()
    now[0] = 6
    assert not target.families()


@pytest.mark.parametrize("kind", ["delta", "summary"])
def test_what_is_not_emulated_is_refused_and_not_lost(kind: str) -> None:
    """Deltas and summaries: a permanent failure that says so, before any point of the request is taken."""
    target, request = store(), METRICS.request()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="good").gauge.data_points.add(as_int=1)
    metric = metrics.add(name="d")
    if kind == "delta":
        metric.sum.aggregation_temporality = 1
        metric.sum.data_points.add(as_int=3)
    else:
        metric.summary.data_points.add(count=3)
    with pytest.raises(Failure, match="501"):
        target.push(request).send(None)
    assert target.families() == []


@pytest.mark.parametrize(
    ("name", "unit", "kind", "printed"),
    [
        ("req", "1", "counter", "req_total"), ("job.duration", "s", "histogram", "job_duration_seconds"),
        ("x.bytes", "By", "gauge", "x_bytes"), ("cpu", "1", "gauge", "cpu_ratio"),
        ("a.total", "", "counter", "a_total"),
        ("speed", "By/s", "gauge", "speed_bytes_per_second"), ("1st", "{thing}", "gauge", "_1st"),
    ],
)  # fmt: skip
def test_metric_names(name: str, unit: str, kind: str, printed: str) -> None:
    """Suffixes by unit and type."""
    assert metric_name(name, unit, kind) == printed


def test_label_names() -> None:
    """Everything but letters, digits and `_` is replaced."""
    assert [label_name(name) for name in ("http.method", "1x", "_x")] == ["http_method", "key_1x", "key_x"]


def test_own_metric_names_and_types_as_captured() -> None:
    """Every metric of ours that the real Collector also printed has its type. (Help texts are not rendered.)"""
    lines = (CAPTURES / "internal_metrics_help.txt").read_text().splitlines()
    real = {line.split(" ")[2]: line.split(" ")[3] for line in lines if line.startswith("# TYPE")}
    telemetry = Telemetry()
    for name in COUNTERS:
        telemetry.add(name, 0)
    for name in HISTOGRAMS:
        telemetry.record(name, 1)
    ours = {family.name: family.kind for family in telemetry.families()}
    common = ours.keys() & real.keys()
    assert {name: ours[name] for name in common} == {name: real[name] for name in common}
    assert len(common) > 20
