"""What Tempo is given is what it gives back: every protocol, every field, every order of arrival.

Documents: Tempo HTTP API "Query" and "Query V2"; OTLP 1.7 "OTLP/gRPC", "OTLP/HTTP".
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.probes.poll import Deadline, NotYet, poll
from harness.services.http_session import ServiceSession
from harness.services.otlp_client import export_grpc, export_http, make_span, trace_request

BY_ID_WITHIN = 5.0
"""Seconds from the acknowledgement to the trace being found by id. Measured: 0.04 s."""
SETTLED_WITHIN = 10.0
"""Seconds until it has left memory for the write-ahead log. Measured with this configuration: 0.5 to 0.9 s."""


def spans_by_name(tempo: ServiceSession, trace: str, count: int) -> dict[str, tuple[Any, dict[str, str]]]:
    """Span and text attributes of its resource by the span's name, once `count` spans are there."""

    def ask() -> list[tuple[Any, dict[str, str]]]:
        answer = tempo.get(f"/api/traces/{trace}", headers={"Accept": "application/protobuf"})
        if answer.status_code == 404:
            raise NotYet("404")
        assert answer.status_code == 200, f"HTTP {answer.status_code} {answer.text[:200]}"
        found = [
            (span, {item.key: item.value.string_value for item in group.resource.attributes})
            for group in TracesData.FromString(answer.content).resource_spans
            for scoped in group.scope_spans
            for span in scoped.spans
        ]
        if len(found) < count:
            raise NotYet(f"{len(found)} of {count} spans")
        return found

    spans = poll(ask, Deadline.after(BY_ID_WITHIN), f"trace {trace}")
    assert len(spans) == count, f"sent {count} spans, found {len(spans)}: {sorted(span.name for span, _ in spans)}"
    return {span.name: (span, resource) for span, resource in spans}


def searched(tempo: ServiceSession, trace: str, done: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
    """The search result of a trace once it was cut from memory and is as `done` wants it.

    Parts that were cut at different times are not added up in a result, so counts of spans are only safe for one part.
    """

    def ask() -> dict[str, Any]:
        answer = tempo.get("/api/search", params={"q": f'{{ trace:id = "{trace}" }}'})
        assert answer.status_code == 200, f"HTTP {answer.status_code} {answer.text[:200]}"
        found: list[dict[str, Any]] = answer.json()["traces"]
        if not found or not done(found[0]):
            raise NotYet(f"{found}")
        return found[0]

    return poll(ask, Deadline.after(SETTLED_WITHIN), f"search for trace {trace}")


def canonical(span: Any) -> bytes:
    """A span's bytes with its attributes in order, without `flags`: Tempo keeps neither once a span is on disk."""
    copy = Span.FromString(span.SerializeToString())
    attributes = sorted(copy.attributes, key=lambda item: item.key)
    del copy.attributes[:]
    copy.attributes.extend(attributes)
    copy.status.SetInParent()
    copy.ClearField("flags")
    return bytes(copy.SerializeToString(deterministic=True))


@pytest.mark.parametrize("way", ["grpc", "http protobuf", "http json"])
def test_a_span_is_read_back_whichever_protocol_brought_it(
    way: str, stack: RemoteStack, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """gRPC, protobuf over HTTP and JSON over HTTP store the same span. Source: OTLP, "Protocol Details"."""
    trace = secrets.token_hex(16)
    sent = make_span("pay", trace=trace, kind=Span.SPAN_KIND_SERVER, attributes={"order.total": 42, "vip": True})
    request = trace_request(marks, [sent])
    if way == "grpc":
        answer = export_grpc(stack["tempo"].endpoint("otlp_grpc"), request)
        assert answer.partial_success.rejected_spans == 0
    else:
        taken = export_http(stack["tempo"].endpoint("otlp_http"), request, encoding=way.split()[1])
        assert (taken.status, taken.body) in {(200, b'{"partialSuccess":{}}'), (200, b"\n\x00")}, taken

    found, resource = spans_by_name(tempo, trace, 1)["pay"]

    assert canonical(found) == canonical(sent)
    assert resource == marks


def everything(trace: str) -> Any:
    """A span that uses every field of the protocol that Tempo keeps."""
    now = time.time_ns()
    link = Span.Link(trace_id=secrets.token_bytes(16), span_id=secrets.token_bytes(8), trace_state="a=b")
    attributes = {
        "text": "Grüße, 世界 ' \" \\ \n", "empty": "", "yes": True, "no": False, "int": -(2**63), "float": 0.1,
        "bytes": b"\x00\xff", "list": ["a", "b"], "nested": {"a": {"b": [1, 2]}}, "http.method": "GET",
    }  # fmt: skip
    return make_span(
        "everything", trace=trace, parent=secrets.token_bytes(8), milliseconds=12.345678, end=now,
        kind=Span.SPAN_KIND_CONSUMER, attributes=attributes, trace_state="vendor=1,other=2",
        status=Status(code=Status.STATUS_CODE_ERROR, message="card declined"), links=[link],
        events=[Span.Event(time_unix_nano=now - 1001, name="exception", dropped_attributes_count=3)],
        dropped_attributes_count=1, dropped_events_count=2, dropped_links_count=4,
    )  # fmt: skip


def test_every_field_of_a_span_survives_memory_and_disk(
    otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """Values of every type, events, links, state and status come back exactly, from memory and from the log.

    Source: opentelemetry-proto, trace.proto.
    """
    trace = secrets.token_hex(16)
    sent = everything(trace)
    assert export_http(otlp, trace_request(marks, [sent])).status == 200

    live, _ = spans_by_name(tempo, trace, 1)["everything"]
    assert canonical(live) == canonical(sent)

    searched(tempo, trace)
    stored, _ = spans_by_name(tempo, trace, 1)["everything"]
    assert canonical(stored) == canonical(sent)


def test_json_shows_ids_in_base64_and_large_numbers_as_text(
    otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """No client that reads the JSON loses a nanosecond or a digit. Source: Tempo HTTP API, "Query V2"."""
    trace, large = secrets.token_hex(16), 2**53 + 1
    sent = make_span("precise", trace=trace, attributes={"large": large})
    assert export_http(otlp, trace_request(marks, [sent])).status == 200
    spans_by_name(tempo, trace, 1)

    answer = tempo.get(f"/api/v2/traces/{trace}", headers={"Accept": "application/json"}).json()
    (shown,) = answer["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"]

    assert base64.b64decode(shown["traceId"]).hex() == trace
    assert base64.b64decode(shown["spanId"]) == sent.span_id
    assert shown["endTimeUnixNano"] == str(sent.end_time_unix_nano)
    assert shown["attributes"] == [{"key": "large", "value": {"intValue": str(large)}}]


def test_a_trace_of_five_hundred_spans_is_complete(
    otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """Nothing of a long trace is missing or twice, across several pushes. Source: Tempo HTTP API, "Query"."""
    trace = secrets.token_hex(16)
    sent = {f"op-{number}" for number in range(500)}
    names = sorted(sent)
    for first in range(0, 500, 100):
        spans = [make_span(name, trace=trace) for name in names[first : first + 100]]
        assert export_http(otlp, trace_request(marks, spans)).status == 200

    assert set(spans_by_name(tempo, trace, 500)) == sent
    searched(tempo, trace)
    assert set(spans_by_name(tempo, trace, 500)) == sent, "complete in memory and not on disk"


def test_services_that_share_a_context_form_one_trace(
    otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """Spans of three services, each with a remote parent, are one connected trace with one root.

    Source: W3C Trace Context "traceparent"; Tempo, "Trace structure".
    """
    trace, parent = secrets.token_hex(16), b""
    for service in ("gateway", "orders", "stock"):
        span = make_span(f"in {service}", trace=trace, parent=parent, kind=Span.SPAN_KIND_SERVER)
        assert export_http(otlp, trace_request({**marks, "service.name": service}, [span])).status == 200
        parent = span.span_id

    found = spans_by_name(tempo, trace, 3)

    assert {resource["service.name"] for _, resource in found.values()} == {"gateway", "orders", "stock"}
    assert found["in gateway"][0].parent_span_id == b""
    assert found["in orders"][0].parent_span_id == found["in gateway"][0].span_id
    assert found["in stock"][0].parent_span_id == found["in orders"][0].span_id


def test_two_traces_in_one_request_stay_two(otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]) -> None:
    """A batch mixes traces as the Collector sends them; reading one gives none of the other. Source: trace.proto."""
    one, other = secrets.token_hex(16), secrets.token_hex(16)
    spans = [make_span(f"{trace[:4]}-{number}", trace=trace) for number in range(3) for trace in (one, other)]
    assert export_http(otlp, trace_request(marks, spans)).status == 200

    for trace in (one, other):
        assert set(spans_by_name(tempo, trace, 3)) == {f"{trace[:4]}-{number}" for number in range(3)}


def test_children_that_arrive_before_their_parent_are_joined_to_it(
    otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """Out of order is the normal order: the child ends first. The root's name appears as soon as it came.

    Source: Tempo HTTP API, "Search": rootTraceName.
    """
    trace = secrets.token_hex(16)
    root = make_span("root", trace=trace, milliseconds=50)
    child = make_span("child", trace=trace, parent=root.span_id)
    assert export_http(otlp, trace_request(marks, [child])).status == 200
    early = searched(tempo, trace)
    assert (early["rootServiceName"], early.get("rootTraceName")) == ("<root span not yet received>", None)

    assert export_http(otlp, trace_request(marks, [root])).status == 200
    late = searched(tempo, trace, lambda result: "rootTraceName" in result)

    assert (late["rootServiceName"], late["rootTraceName"]) == ("checkout", "root")
    assert spans_by_name(tempo, trace, 2)["child"][0].parent_span_id == root.span_id


def test_a_late_span_joins_a_trace_that_is_already_on_disk(
    otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """A span that ended minutes ago and arrives now is part of its trace by id. Source: Tempo, "Late spans"."""
    trace = secrets.token_hex(16)
    assert export_http(otlp, trace_request(marks, [make_span("prompt", trace=trace)])).status == 200
    searched(tempo, trace)

    old = time.time_ns() - 600 * 1_000_000_000
    assert export_http(otlp, trace_request(marks, [make_span("late", trace=trace, end=old)])).status == 200

    found = spans_by_name(tempo, trace, 2)
    assert found["late"][0].end_time_unix_nano == old


def test_a_short_trace_id_is_the_same_as_its_padded_form(
    otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """Ids of 64 bits, as older tracers make them, are found with and without leading zeros, in either case.

    Source: Tempo HTTP API, "Query": "the trace ID ... left-padded".
    """
    short = "ab" + secrets.token_hex(7)
    assert export_http(otlp, trace_request(marks, [make_span("short", trace=short.zfill(32))])).status == 200

    for written in (short, short.zfill(32), short.upper()):
        assert set(spans_by_name(tempo, written, 1)) == {"short"}


def test_an_unknown_trace_is_not_found_and_a_wrong_id_is_refused(tempo: ServiceSession) -> None:
    """Absent and malformed are told apart. Source: Tempo HTTP API, "Query" and "Query V2"."""
    unknown = secrets.token_hex(16)
    first, second = tempo.get(f"/api/traces/{unknown}"), tempo.get(f"/api/v2/traces/{unknown}")
    assert (first.status_code, first.text) == (404, "")
    assert (second.status_code, second.json()["trace"]) == (200, {})

    for path in ("/api/traces/", "/api/v2/traces/"):
        letters, length = tempo.get(f"{path}xyz"), tempo.get(f"{path}{'a' * 33}")
        assert letters.status_code == 400
        assert "trace IDs can only contain hex characters: invalid character 'x' at position 1" in letters.text
        assert (length.status_code, "larger than 128 bits" in length.text) == (400, True), length.text
