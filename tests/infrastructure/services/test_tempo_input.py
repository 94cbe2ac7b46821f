"""What Tempo refuses, and what it does with input that is too large, malformed or only half right.

Documents: OTLP 1.7 "Failures", "OTLP/HTTP Response"; Tempo configuration "distributor".
"""

from __future__ import annotations

import gzip
import secrets
from typing import Any

import grpc
import pytest
import requests
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.probes.http import ask
from harness.probes.poll import Deadline, NotYet, poll
from harness.services.http_session import ServiceSession
from harness.services.otlp_client import as_json, export_grpc, export_http, make_span, trace_request

ARRIVES_WITHIN = 5.0
PROTOBUF = "application/x-protobuf"
ATTRIBUTE_BYTES = 2048
"""The default of `distributor.max_attribute_bytes`."""


def stored(tempo: ServiceSession, trace: str) -> list[Any]:
    """The spans of a trace, which has to be there soon."""

    def ask_for_it() -> bytes:
        answer = tempo.get(f"/api/traces/{trace}", headers={"Accept": "application/protobuf"})
        if answer.status_code != 200:
            raise NotYet(f"HTTP {answer.status_code}")
        return answer.content

    data = TracesData.FromString(poll(ask_for_it, Deadline.after(ARRIVES_WITHIN), f"trace {trace}"))
    return [span for group in data.resource_spans for scoped in group.scope_spans for span in scoped.spans]


def spans_by_id(tempo: ServiceSession, trace: str) -> int:
    """How many spans of a trace are there right now."""
    answer = tempo.get(f"/api/traces/{trace}", headers={"Accept": "application/protobuf"})
    data = TracesData.FromString(answer.content if answer.status_code == 200 else b"")
    return sum(len(scoped.spans) for group in data.resource_spans for scoped in group.scope_spans)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{bad", "application/json", 400),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abc"}]}]}]}', "application/json", 400),
        (b"\xff\xff\xff", PROTOBUF, 400),
        (b"{}", "text/plain", 415),
    ],
    ids=["broken json", "short id", "broken protobuf", "text"],
)
def test_a_body_that_cannot_be_read_is_a_permanent_error(
    otlp: Endpoint, body: bytes, content_type: str, status: int
) -> None:
    """No 5xx, which clients would repeat for ever. Source: OTLP, "Failures": "MUST NOT retry" on 400."""
    answer = ask(otlp, "/v1/traces", "POST", body, {"Content-Type": content_type})
    assert answer.status == status, answer.text
    assert answer.body, "a refusal without a reason"
    if (status, content_type) == (400, "application/json"):
        assert answer.json()["code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_only_traces_are_taken_and_only_by_post(otlp: Endpoint) -> None:
    """Metrics and logs sent to Tempo are refused, not swallowed. Source: Tempo, "receivers"."""
    headers = {"Content-Type": "application/json"}
    found = {path: ask(otlp, path, "POST", b"{}", headers).status for path in ("/v1/metrics", "/v1/logs", "/v1/traces")}
    assert found == {"/v1/metrics": 404, "/v1/logs": 404, "/v1/traces": 200}
    assert ask(otlp, "/v1/traces", "GET").status == 405


def test_one_span_without_a_trace_id_costs_the_whole_request(
    stack: RemoteStack, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """The request is refused whole, by both protocols, and nothing of it is stored: no half-taken batch.

    Source: messages of Tempo 3.0.3; OTLP, "Bad Data".
    """
    good, bad = make_span("good", trace=secrets.token_hex(16)), make_span("bad", trace="0" * 32)
    request = trace_request(marks, [good, bad])

    answer = export_http(stack["tempo"].endpoint("otlp_http"), request, encoding="json")
    assert (answer.status, answer.json()["code"]) == (400, 3), answer.text
    assert "trace ids must be 128 bit, received 0 bits" in answer.json()["message"]
    with pytest.raises(grpc.RpcError) as refused:
        export_grpc(stack["tempo"].endpoint("otlp_grpc"), request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    witness = make_span("witness", trace=secrets.token_hex(16))
    assert export_http(stack["tempo"].endpoint("otlp_http"), trace_request(marks, [witness])).status == 200
    assert len(stored(tempo, witness.trace_id.hex())) == 1
    assert spans_by_id(tempo, good.trace_id.hex()) == 0


def test_a_message_over_four_mebibytes_is_refused_by_grpc(stack: RemoteStack, marks: dict[str, str]) -> None:
    """The largest message is bounded, and the client told both sizes. Source: gRPC, `max_recv_msg_size_mib`."""
    request = trace_request(marks, [make_span("large", attributes={"blob": "x" * (5 << 20)})])
    with pytest.raises(grpc.RpcError) as refused:
        export_grpc(stack["tempo"].endpoint("otlp_grpc"), request)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "4194304" in str(refused.value.details())


def test_a_body_over_twenty_mebibytes_is_refused_by_http(otlp: Endpoint) -> None:
    """Refused while it is being read: an answer of 400, or the connection closed. Source: confighttp defaults."""
    try:
        answer = requests.post(
            f"{otlp.url}/v1/traces", data=b"\0" * (21 << 20), headers={"Content-Type": PROTOBUF}, timeout=10
        )
    except requests.ConnectionError:
        return
    assert answer.status_code == 400
    assert b"request body too large" in answer.content


def test_a_long_attribute_is_cut_and_the_span_kept(
    otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """A stack trace or a query text of megabytes costs 2 KiB. Source: Tempo configuration, `max_attribute_bytes`."""
    trace = secrets.token_hex(16)
    attributes = {"long": "x" * 10_000, "fits": "y" * ATTRIBUTE_BYTES, "other": 7}
    assert (
        export_http(otlp, trace_request(marks, [make_span("query", trace=trace, attributes=attributes)])).status == 200
    )

    (span,) = stored(tempo, trace)
    found = {item.key: item.value for item in span.attributes}

    assert found["long"].string_value == "x" * ATTRIBUTE_BYTES
    assert found["fits"].string_value == "y" * ATTRIBUTE_BYTES
    assert found["other"].int_value == 7


def test_compressed_bodies_are_read_and_broken_ones_refused(
    otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]
) -> None:
    """gzip is what every SDK can switch on. Source: OTLP, "OTLP/HTTP Request", Content-Encoding."""
    trace = secrets.token_hex(16)
    body = gzip.compress(trace_request(marks, [make_span("small", trace=trace)]).SerializeToString())
    headers = {"Content-Type": PROTOBUF, "Content-Encoding": "gzip"}
    assert ask(otlp, "/v1/traces", "POST", body, headers).status == 200
    assert [span.name for span in stored(tempo, trace)] == ["small"]

    assert ask(otlp, "/v1/traces", "POST", body[:-8], headers).status == 400
    unknown = ask(otlp, "/v1/traces", "POST", body, {**headers, "Content-Encoding": "zip9"})
    assert (unknown.status, b"unsupported Content-Encoding: zip9" in unknown.body) == (400, True)


def test_fields_of_a_newer_protocol_are_ignored(otlp: Endpoint, tempo: ServiceSession, marks: dict[str, str]) -> None:
    """A client newer than the server still delivers its spans. Source: OTLP, "JSON Protobuf Encoding"."""
    trace = secrets.token_hex(16)
    body = as_json(trace_request(marks, [make_span("new", trace=trace)]))
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["fieldOfTomorrow"] = {"a": [1]}
    assert ask(otlp, "/v1/traces", "POST", body).status == 200
    assert [span.name for span in stored(tempo, trace)] == ["new"]
