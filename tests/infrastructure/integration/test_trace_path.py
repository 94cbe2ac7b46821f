"""One request's telemetry on its whole way: SDK -> Collector -> Tempo -> Grafana, and into metrics."""

from __future__ import annotations

import re
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, Status, StatusCode, format_span_id, format_trace_id

from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace
from harness.services.http_session import ServiceSession
from harness.services.otel_client import CollectorClient

ARRIVES_WITHIN = 10.0
"""Seconds from the export to the trace being found by id: the Collector's batch and Tempo's intake."""
SEARCHED_WITHIN = 20.0
"""Seconds until it is found by search: Tempo cuts live traces to its write-ahead log first."""


def spans_of(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """Every span in Tempo's answer, with its resource's attributes under `resource`."""
    found = []
    for batch in trace.get("trace", trace).get("resourceSpans") or trace.get("batches") or []:
        attributes = {item["key"]: item["value"] for item in batch["resource"]["attributes"]}
        for scope in batch["scopeSpans"]:
            found += [{**span, "resource": attributes} for span in scope["spans"]]
    return found


def find_trace(session: ServiceSession, path: str, spans: int) -> list[dict[str, Any]]:
    """The spans of a trace, once all of them are there."""

    def ask() -> list[dict[str, Any]]:
        answer = session.get(path, headers={"Accept": "application/json"})
        if answer.status_code == 404:
            raise NotYet("404")
        assert answer.status_code == 200, f"{path}: HTTP {answer.status_code} {answer.text[:200]}"
        found = spans_of(answer.json())
        if len(found) < spans:
            raise NotYet(f"{len(found)} of {spans} spans")
        return found

    return poll(ask, Deadline.after(ARRIVES_WITHIN), path)


def test_a_span_is_followed_from_the_sdk_to_grafanas_proxy(
    otel_collector: CollectorClient, tempo: ServiceSession, grafana: ServiceSession, namespace: Namespace
) -> None:
    """The same trace id, name, kind, status and attributes are read back through Grafana's data source proxy.

    Source: Grafana HTTP API, "Data source proxy calls"; Tempo HTTP API, "Query V2".
    """
    attributes = namespace.of("tempo")
    with otel_collector.sdk("checkout", attributes) as sdk:
        with sdk.tracer.start_as_current_span("pay", kind=SpanKind.SERVER, attributes={"order.total": 42}) as span:
            span.set_status(Status(StatusCode.ERROR, "card declined"))
        assert sdk.flush_spans() == 1
    trace_id = format_trace_id(span.get_span_context().trace_id)
    path = f"/api/v2/traces/{trace_id}"

    (direct,) = find_trace(tempo, path, 1)
    (proxied,) = find_trace(grafana, f"/api/datasources/proxy/uid/tempo{path}", 1)

    assert proxied == direct
    assert (proxied["name"], proxied["kind"]) == ("pay", "SPAN_KIND_SERVER")
    assert proxied["status"] == {"message": "card declined", "code": "STATUS_CODE_ERROR"}
    assert {"key": "order.total", "value": {"intValue": "42"}} in proxied["attributes"]
    assert proxied["resource"]["test.namespace"] == {"stringValue": namespace.name}


def test_parent_and_child_of_two_services_are_one_trace(
    otel_collector: CollectorClient, tempo: ServiceSession, namespace: Namespace
) -> None:
    """Spans of two services that share a context are one trace, and the child names its remote parent.

    Source: W3C Trace Context; OpenTelemetry specification, "SpanContext".
    """
    from opentelemetry.trace import set_span_in_context

    attributes = namespace.of("tempo")
    with otel_collector.sdk("caller", attributes) as caller, otel_collector.sdk("callee", attributes) as callee:
        parent = caller.tracer.start_span("call", kind=SpanKind.CLIENT)
        child = callee.tracer.start_span("serve", context=set_span_in_context(parent), kind=SpanKind.SERVER)
        child.end()
        parent.end()
        caller.flush_spans()
        callee.flush_spans()

    context = parent.get_span_context()
    spans = find_trace(tempo, f"/api/v2/traces/{format_trace_id(context.trace_id)}", 2)
    by_name = {span["name"]: span for span in spans}

    assert {span["resource"]["service.name"]["stringValue"] for span in spans} == {"caller", "callee"}
    assert by_name["serve"]["parentSpanId"] == by_name["call"]["spanId"]
    assert not by_name["call"].get("parentSpanId")
    assert format_span_id(context.span_id) != ""


def test_a_trace_sent_through_the_collector_is_found_by_traceql_in_grafana(
    otel_collector: CollectorClient, grafana: ServiceSession, namespace: Namespace
) -> None:
    """A search in Grafana by an attribute finds exactly the traces that were sent with it.

    Source: Tempo, "TraceQL"; Grafana HTTP API, "Query a data source".
    """
    with otel_collector.sdk("searchable", namespace.of("tempo")) as sdk:
        contexts = []
        for number in range(3):
            with sdk.tracer.start_as_current_span("op", attributes={"number": number}) as span:
                contexts.append(span.get_span_context())
        assert sdk.flush_spans() == 3
    expected = {format_trace_id(context.trace_id) for context in contexts}
    query = f'{{ resource.test.namespace = "{namespace.name}" && span.number >= 0 }}'

    def ask() -> set[str]:
        answer = grafana.get("/api/datasources/proxy/uid/tempo/api/search", params={"q": query, "limit": "20"})
        assert answer.status_code == 200, f"HTTP {answer.status_code} {answer.text[:200]}"
        found = {trace["traceID"].zfill(32) for trace in answer.json().get("traces", [])}
        if len(found) < len(expected):
            raise NotYet(f"{len(found)} of {len(expected)} traces")
        return found

    assert poll(ask, Deadline.after(SEARCHED_WITHIN), query) == expected


@pytest.mark.usefixtures("scraping")
def test_spans_become_call_counts_by_service_and_status(otel_collector: CollectorClient, namespace: Namespace) -> None:
    """The Collector's span metrics count every call once, split by status: the base of every error-rate alert.

    Source: opentelemetry-collector-contrib, spanmetrics connector, README.
    """
    service = f"shop-{namespace.name}"
    with otel_collector.sdk(service, namespace.of("otel_collector")) as sdk:
        for failed in (False, False, False, True):
            with sdk.tracer.start_as_current_span("buy", kind=SpanKind.SERVER) as span:
                span.set_status(StatusCode.ERROR if failed else StatusCode.UNSET)
        assert sdk.flush_spans() == 4

    def ask() -> dict[str, float]:
        text = otel_collector.prometheus.get("/metrics").text
        lines = [line for line in text.splitlines() if "calls_total{" in line and f'service_name="{service}"' in line]
        found = {_label(line, "status_code"): float(line.rsplit(" ", 1)[1]) for line in lines}
        if sum(found.values()) < 4:
            raise NotYet(f"counted so far: {found}")
        return found

    counts = poll(ask, Deadline.after(ARRIVES_WITHIN), f"calls of {service}")
    assert counts == {"STATUS_CODE_UNSET": 3.0, "STATUS_CODE_ERROR": 1.0}


def _label(line: str, name: str) -> str:
    match = re.search(rf'{name}="([^"]*)"', line)
    return match.group(1) if match else ""
