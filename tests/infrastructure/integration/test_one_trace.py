"""One request is one story: the same trace id in Tempo, in Grafana, in the log and in the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.probes.exposition import Sample, samples
from harness.probes.poll import Deadline, NotYet, poll
from harness.services.http_session import ServiceSession
from harness.services.otel_client import CollectorClient

if TYPE_CHECKING:
    from tests.infrastructure.integration.conftest import Caller, Deployment, Traces

OPEN_METRICS = {"Accept": "application/openmetrics-text"}
DURATION = "http_server_request_duration_seconds"
ARRIVES_WITHIN = 15.0


def tree(spans: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(parent's name, name, kind) of each span in the order of their start; the root's parent has no name."""
    names = {span["spanId"]: span["name"] for span in spans}
    ordered = sorted(spans, key=lambda span: int(span["startTimeUnixNano"]))
    return [(names.get(span.get("parentSpanId", ""), ""), span["name"], span["kind"][10:]) for span in ordered]


def test_a_request_is_one_trace_across_caller_service_cache_and_store(
    shop: Deployment, caller: Caller, traces: Traces, key: str
) -> None:
    """A read that misses asks the cache, then the store, then fills the cache: five spans, each under its cause.

    Source: W3C Trace Context; OpenTelemetry semantic conventions, "Database client spans".
    """
    one, other, _ = shop.instances
    caller.call("PUT", f"{one.url}/items/{key}", "lamp")
    shop.forget(key)
    call = caller.call("GET", f"{other.url}/items/{key}")
    assert call.body == {"key": key, "value": "lamp", "version": 1, "from": "store"}

    spans = traces.spans(call.trace_id, 5)
    served = "GET /items"
    assert tree(spans) == [
        ("", "call", "CLIENT"),
        ("call", served, "SERVER"),
        (served, "GET", "CLIENT"),
        (served, "get document", "CLIENT"),
        (served, "EVAL", "CLIENT"),
    ]
    assert [span["about"]["peer.service"] for span in spans if "peer.service" in span["about"]].count("redis") == 2
    assert {span["instance"] for span in spans if span["name"] != "call"} == {other.name}


def test_the_trace_of_a_request_is_found_by_traceql_and_shown_by_grafana(
    shop: Deployment, caller: Caller, traces: Traces, grafana: ServiceSession, key: str
) -> None:
    """A structural query finds exactly the requests that wrote; Grafana's proxy and its query API show the same spans.

    Source: Tempo, "TraceQL", structural operators; Grafana HTTP API, "Query a data source".
    """
    url = f"{shop.instances[0].url}/items/{key}"
    wrote = caller.call("PUT", url, "lamp")
    caller.call("GET", url)
    root = f'resource.service.name = "{shop.service("catalogue")}" && span.http.route = "/items"'
    query = f'{{ {root} && trace:id = "{wrote.trace_id}" }} >> {{ span.peer.service = "arangodb" }}'
    assert traces.search(query, 1) == {wrote.trace_id}

    direct = traces.spans(wrote.trace_id, 4)
    path = f"/api/datasources/proxy/uid/tempo/api/v2/traces/{wrote.trace_id}"
    proxied = grafana.get(path, headers={"Accept": "application/json"}).json()
    assert {span["spanId"] for batch in proxied["trace"]["resourceSpans"] for scope in batch["scopeSpans"]
            for span in scope["spans"]} == {span["spanId"] for span in direct}  # fmt: skip
    asked = {"refId": "A", "datasource": {"uid": "tempo"}, "queryType": "traceId", "query": wrote.trace_id}
    shown = grafana.post("/api/ds/query", json={"queries": [asked], "from": "now-5m", "to": "now"})
    (frame,) = shown.json()["results"]["A"]["frames"]
    columns = [field["name"] for field in frame["schema"]["fields"]]
    names = frame["data"]["values"][columns.index("operationName")]
    assert sorted(names) == sorted(span["name"] for span in direct)


def test_the_log_line_and_the_exemplar_of_a_request_name_its_trace(
    shop: Deployment, caller: Caller, traces: Traces, key: str
) -> None:
    """From a latency bucket to its trace, from the trace to its log line: all three carry one pair of ids.

    Source: OpenMetrics, "Exemplars"; OpenTelemetry, "Trace Context in non-OTLP Log Formats".
    """
    instance = shop.instances[0]
    call = caller.call("PUT", f"{instance.url}/items/{key}", "lamp")
    (line,) = instance.log("request", path=f"/items/{key}")
    assert (line["trace_id"], line["status"], line["method"]) == (call.trace_id, 200, "PUT")

    buckets = instance.metrics(f"{DURATION}_bucket", http_request_method="PUT", http_response_status_code="200")
    exemplars = [one.exemplar for one in buckets if one.exemplar.get("trace_id") == call.trace_id]
    assert exemplars == [{"trace_id": call.trace_id, "span_id": line["span_id"]}]
    served = next(span for span in traces.spans(call.trace_id, 4) if span["kind"] == "SPAN_KIND_SERVER")
    assert span_id(served) == line["span_id"]


def span_id(span: dict[str, Any]) -> str:
    """The id as the log writes it; Tempo's JSON has it in base64."""
    import base64

    return base64.b64decode(span["spanId"]).hex()


@pytest.mark.usefixtures("scraping")
def test_an_exemplar_at_the_collector_leads_to_a_request_of_the_service(
    shop: Deployment, caller: Caller, traces: Traces, otel_collector: CollectorClient, key: str
) -> None:
    """What the service pushes is scraped from the Collector, told apart by instance, each with a way to a trace.

    Source: prometheusexporter, `enable_open_metrics`; OpenTelemetry specification, "Exemplar".
    """
    instance, made = shop.instances[1], set[str]()

    def ask() -> Sample:
        made.add(caller.call("PUT", f"{instance.url}/items/{key}", "lamp").trace_id)
        page = otel_collector.prometheus.get("/metrics", headers=OPEN_METRICS).text
        mine = {"job": shop.service("catalogue"), "instance": instance.name, "http_request_method": "PUT"}
        found = samples(page, f"{DURATION}_bucket", **mine)
        named = [one for one in found if one.exemplar.get("trace_id") in made]  # an exemplar lasts for one push
        if not named:
            raise NotYet(f"{len(found)} buckets, none with an exemplar of {len(made)} requests")
        return named[0]

    exemplar = poll(ask, Deadline.after(ARRIVES_WITHIN), "an exemplar of this test's requests", interval=0.1).exemplar
    spans = traces.spans(exemplar["trace_id"], 4)
    assert exemplar["span_id"] in {span_id(span) for span in spans if span["instance"] == instance.name}


@pytest.mark.usefixtures("scraping")
def test_a_request_that_fails_is_an_error_in_trace_log_and_span_metrics(
    shop: Deployment, caller: Caller, traces: Traces, otel_collector: CollectorClient, key: str
) -> None:
    """One fault, told the same everywhere: status 500, an error span with the cause, a log line, a counted call.

    Source: OpenTelemetry semantic conventions, "HTTP spans", status; spanmetrics connector, README.
    """
    instance = shop.instances[0]
    caller.call("PUT", f"{instance.url}/items/{key}", "not a number")
    call = caller.call("POST", f"{instance.url}/counts/{key}?unlocked")
    assert (call.status, call.body["error"][:9]) == (500, "TypeError")

    (served,) = [span for span in traces.spans(call.trace_id, 3) if span["kind"] == "SPAN_KIND_SERVER"]
    assert served["status"] == {"message": call.body["error"], "code": "STATUS_CODE_ERROR"}
    (line,) = instance.log("request", trace_id=call.trace_id)
    assert (line["status"], line["span_id"]) == (500, span_id(served))

    def counted() -> float:
        page = otel_collector.prometheus.get("/metrics").text
        mine = {"service_name": shop.service("catalogue"), "span_name": "POST /counts"}
        found = [
            one.value for one in samples(page, "traces_span_metrics_calls", status_code="STATUS_CODE_ERROR", **mine)
        ]
        if not found:
            raise NotYet("no failed call")
        return sum(found)

    failed = len([line for one in shop.instances[:2] for line in one.log("request", status=500)])
    assert poll(counted, Deadline.after(ARRIVES_WITHIN), "the failed call in the span metrics") == failed
