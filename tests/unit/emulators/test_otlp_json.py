"""OTLP/JSON as the Go receivers read it; their answers to malformed bodies are replayed in the packages' own tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from harness.emulators.otlp_json import JsonError, decode

SPAN = b'{"resource_spans":[{"scopeSpans":[{"spans":[%s]}]}]}'


def read(body: bytes) -> ExportTraceServiceRequest:
    """The request in a body."""
    request = ExportTraceServiceRequest()
    decode(body, request)
    return request


def span_of(body: bytes) -> Span:
    """The one span of a body."""
    (span,) = read(SPAN % body).resource_spans[0].scope_spans[0].spans
    assert isinstance(span, Span)
    return span


def test_hex_ids_enum_names_and_both_spellings() -> None:
    span = span_of(b'{"traceId":"%s","parent_span_id":"%s","kind":"SPAN_KIND_SERVER","x":1}' % (b"0A" * 16, b"0b" * 8))
    assert (span.trace_id, span.parent_span_id, span.kind) == (b"\x0a" * 16, b"\x0b" * 8, 2)


def test_numbers_may_be_in_quotes() -> None:
    span = span_of(b'{"startTimeUnixNano":"5","endTimeUnixNano":6,"attributes":[{"key":"a","value":{"intValue":"7"}}]}')
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (5, 6)
    assert span.attributes[0].value.int_value == 7


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "readObjectStart: unexpected end of input, error found in #0 byte of ...||..."),
        (b"[]", "ReadObject: expect { or , or } or n, but found [, error found in #1"),
        (b"{bad", 'ReadObject: expect " after {, but found b, error found in #2 byte of ...|{bad|...'),
        (b"nonsense", "ReadObject: expect { or , or } or n, but found n, error found in #1"),
        (b'{"resourceSpans":5}', "ReadArray: expect [ or , or ] or n, but found 5, error found in #10"),
        (b'{"resourceSpans": {"a":1}}', "ReadArray: expect [ or , or ] or n, but found {, error found in #10"),
        (b'{"resourceSpans":[{"x', "ReadObject: "),
        (b"\xff", "failed to marshal error message"),
        (SPAN % b'{"kind":"2"}', "ReadEnumValue: unknown string value, error found in #10"),
        (SPAN % b'{"status":{"code":"STATUS_CODE_BAD"}}', "ReadEnumValue: unknown string value, error found in #10"),
        (SPAN % b'{"traceId":"0g"}', "ID.UnmarshalJSONIter: length mismatch, error found in #10"),
        (SPAN % b'{"spanId":"000000000000000g"}', "ID.UnmarshalJSONIter: encoding/hex: invalid byte: U+0067 'g'"),
        (SPAN % b'{"name":"\\ud800"}', "Failed to parse resource_spans"),
        (b'{"resourceSpans":' + b"[" * 100_000, "ReadObject: maximum recursion depth exceeded"),
    ],
)  # fmt: skip
def test_malformed_bodies_are_refused_in_the_parsers_words(body: bytes, message: str) -> None:
    with pytest.raises(JsonError) as refused:
        read(body)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("body", [b"null", b"{}x", b"{} {}", b"  {}\n"])
def test_what_follows_the_object_is_not_looked_at(body: bytes) -> None:
    assert read(body) == ExportTraceServiceRequest()


def test_bytes_that_are_no_utf8_are_replaced_in_values_and_cannot_be_quoted() -> None:
    assert span_of(b'{"name":"a\xff\xfeb"}').name == "a\ufffd\ufffdb"
    with pytest.raises(JsonError) as refused:
        read(b'{"resourceSpans":"\xff"}')
    assert (refused.value.code, str(refused.value)) == (13, "failed to marshal error message")


@given(st.text(alphabet='{}[]",:resourceSpans 0a5\\', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text.encode())
    except JsonError:
        return
