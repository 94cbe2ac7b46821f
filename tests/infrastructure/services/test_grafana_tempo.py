"""Grafana shows what Tempo holds: searches, single traces and TraceQL metrics through its data source.

Documents: "Tempo data source"; "Query tracing data"; grafana-tempo-datasource, `pkg/tempo`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.probes.http import expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace
from harness.services.http_session import ServiceSession

VISIBLE = 10
"""Seconds until a span that Tempo took is found by a search."""
Sender = Callable[..., "Trace"]


@dataclass(frozen=True)
class Trace:
    """What was sent: a root span of `service` with one child in the service `store`."""

    id: str
    service: str
    name: str
    start: int
    duration: int


@pytest.fixture
def send(stack: RemoteStack, namespace: Namespace) -> Sender:
    """Sends a trace of the namespace straight to Tempo, `ago` seconds old and `ms` milliseconds long."""
    marks = [(key, value) for key, value in namespace.of("tempo").items()]

    def one(service: str, name: str, ago: float = 5, ms: int = 120) -> Trace:
        trace, root = secrets.token_hex(16), secrets.token_hex(8)
        start = time.time_ns() - int(ago * 1e9)
        whole = span(trace, root, "", name, start, ms)
        inner = span(trace, secrets.token_hex(8), root, f"{name} select", start + 10_000_000, ms // 2)
        batches = [resource(service, marks, whole), resource("store", marks, inner)]
        to = stack["tempo"].endpoint("otlp_http")
        expect(200, to, "/v1/traces", "POST", body={"resourceSpans": batches})
        return Trace(trace, service, name, start, ms)

    return one


def span(trace: str, own: str, parent: str, name: str, start: int, ms: int) -> dict[str, Any]:
    """A span in OTLP/JSON; times in nanoseconds, its length in milliseconds."""
    times = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + ms * 1_000_000)}
    ids = {"traceId": trace, "spanId": own} | ({"parentSpanId": parent} if parent else {})
    return {**ids, **times, "name": name, "kind": 2}


def resource(service: str, marks: list[tuple[str, str]], *spans: dict[str, Any]) -> dict[str, Any]:
    """Spans under a resource with these attributes."""
    pairs = [("service.name", service), *marks]
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in pairs]
    return {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": list(spans)}]}


def mine(namespace: Namespace) -> str:
    """The TraceQL condition for the namespace's spans."""
    return " && ".join(f'resource.{key} = "{value}"' for key, value in namespace.of("tempo").items())


def ask(grafana: ServiceSession, text: str, kind: str = "traceql", **more: Any) -> Any:
    """The answer to one query A of the last five minutes."""
    source = {"type": "tempo", "uid": "tempo"}
    query = {"refId": "A", "datasource": source, "queryType": kind, "query": text, "limit": 50, "spss": 5, **more}
    return grafana.post("/api/ds/query", json={"queries": [query], "from": "now-5m", "to": "now"})


def rows(answer: Any) -> list[dict[str, Any]]:
    """The rows of the first frame, by column."""
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    frames = answer.json()["results"]["A"]["frames"]
    if not frames or not frames[0]["schema"]["fields"]:
        return []
    names = [one["name"] for one in frames[0]["schema"]["fields"]]
    return [dict(zip(names, row, strict=True)) for row in zip(*frames[0]["data"]["values"], strict=True)]


def searched(grafana: ServiceSession, text: str, count: int) -> list[dict[str, Any]]:
    """The rows of a search, when it has found that many traces."""

    def found() -> list[dict[str, Any]]:
        hits = rows(ask(grafana, text, tableType="traces"))
        if len(hits) < count:
            raise NotYet(f"{len(hits)} of {count} traces: {[one['traceName'] for one in hits]}")
        return hits

    return poll(found, Deadline.after(VISIBLE), "the traces in Grafana", interval=0.1)


def series(grafana: ServiceSession, text: str, label: str) -> dict[str, float]:
    """The sum of each series of a TraceQL metrics query, by one label without its quotes."""
    answer = ask(grafana, text, step="60s")
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    sums = {}
    for frame in answer.json()["results"]["A"]["frames"]:
        labels = frame["schema"]["fields"][-1].get("labels") or {}
        sums[labels.get(label, "").strip('"')] = sum(value or 0 for value in frame["data"]["values"][-1])
    return sums


def test_a_search_shows_the_traces_that_match_and_no_others(
    grafana: ServiceSession, namespace: Namespace, send: Sender
) -> None:
    """Table "Traces": one row per trace, newest first, with its id, root service and name, start and duration."""
    sent = [send("shop", f"GET /{number}", ago=20 - number, ms=100 + number) for number in range(4)]
    send("bank", "GET /0")
    found = searched(grafana, f'{{ {mine(namespace)} && resource.service.name = "shop" }}', 4)
    assert [one["traceID"].zfill(32) for one in found] == [one.id for one in reversed(sent)]
    for row, one in zip(found, reversed(sent), strict=True):
        shown = (row["traceService"], row["traceName"], row["traceDuration"], row["startTime"])
        assert shown == (one.service, one.name, one.duration, one.start // 1_000_000)


def test_a_search_narrows_by_duration_and_limit(grafana: ServiceSession, namespace: Namespace, send: Sender) -> None:
    """TraceQL over the data source: `traceDuration` compares, `limit` cuts; the nested rows are the matching spans."""
    slow = send("shop", "slow", ms=900)
    for number in range(3):
        send("shop", f"fast {number}", ms=20)
    everything = f"{{ {mine(namespace)} }}"
    searched(grafana, everything, 4)
    (row,) = searched(grafana, f'{{ {mine(namespace)} && traceDuration > 500ms && name = "slow" }}', 1)
    assert row["traceID"].zfill(32) == slow.id
    (nested,) = row["nested"]
    names = [one["name"] for one in nested["schema"]["fields"]]
    assert nested["data"]["values"][names.index("name")] == ["slow"]
    assert nested["data"]["values"][names.index("duration")] == [900_000_000]
    assert len(rows(ask(grafana, everything, limit=2))) == 2


def test_a_trace_is_shown_whole_by_its_id(grafana: ServiceSession, namespace: Namespace, send: Sender) -> None:
    """`queryType: traceId`: every span with its parent, service and length; the tree is that which was sent."""
    sent = send("shop", "checkout", ms=200)
    searched(grafana, f"{{ {mine(namespace)} }}", 1)
    spans = {one["operationName"]: one for one in rows(ask(grafana, sent.id, "traceId"))}
    assert set(spans) == {"checkout", "checkout select"}
    root, child = spans["checkout"], spans["checkout select"]
    assert (child["parentSpanID"], root["parentSpanID"] or "") == (root["spanID"], "")
    assert (root["serviceName"], child["serviceName"]) == ("shop", "store")
    assert (round(root["duration"]), round(child["duration"])) == (200, 100)


def test_trace_metrics_count_what_was_sent(grafana: ServiceSession, namespace: Namespace, send: Sender) -> None:
    """TraceQL metrics: `count_over_time() by (...)` has one series per value, and their sums are the numbers sent."""
    for service, count in (("shop", 3), ("bank", 2)):
        for number in range(count):
            send(service, f"{service} {number}")
    wanted = {"shop": 3, "bank": 2, "store": 5}

    def counted() -> None:
        label = "resource.service.name"
        found = series(grafana, f"{{ {mine(namespace)} }} | count_over_time() by ({label})", label)
        if found != wanted:
            raise NotYet(f"{found}, expected {wanted}")

    poll(counted, Deadline.after(VISIBLE), "the spans to be counted", interval=0.1)


def test_tags_and_their_values_are_offered_for_building_a_query(
    grafana: ServiceSession, namespace: Namespace, send: Sender
) -> None:
    """Resources `tags` and `tag-values` of the data source: what the query editor offers is what spans carry."""
    for service in ("shop", "bank"):
        send(service, "GET /")
    searched(grafana, f"{{ {mine(namespace)} }}", 2)
    resources = "/api/datasources/uid/tempo/resources"
    scopes = {one["name"]: one["tags"] for one in grafana.get(f"{resources}/tags").json()["scopes"]}
    assert {"service.name", *namespace.of("tempo")} <= set(scopes["resource"])
    about = {"tag": "resource.service.name", "q": f"{{ {mine(namespace)} }}"}
    values = grafana.get(f"{resources}/tag-values", params=about).json()["tagValues"]
    assert {one["value"] for one in values} >= {"shop", "bank", "store"}
    assert grafana.get(f"{resources}/tag-values").status_code == 400


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("{ oops", "traceql", "parse error"),
        (secrets.token_hex(16), "traceId", "not found"),
        ("{}", "no-such-type", "unsupported query type"),
    ],
    ids=["syntax", "unknown-trace", "unknown-type"],
)
def test_a_query_that_tempo_cannot_answer_says_why(grafana: ServiceSession, text: str, kind: str, said: str) -> None:
    """The cause stands under the query's refId, not only in a log."""
    answer = ask(grafana, text, kind)
    assert answer.status_code == 400, f"{answer.status_code} {answer.text[:300]}"
    assert said in answer.json()["results"]["A"]["error"], answer.text
