from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from harness.services.otlp_client import any_value, as_json, key_values, make_span, signal_of, trace_request


def test_a_span_has_ids_of_its_own_and_the_duration_asked_for() -> None:
    one, other = make_span(milliseconds=1.5, end=10**18), make_span("b", parent=b"12345678", kind=2)
    assert one.end_time_unix_nano - one.start_time_unix_nano == 1_500_000
    assert (len(one.trace_id), len(one.span_id)) == (16, 8)
    assert one.span_id != other.span_id
    assert (other.name, other.parent_span_id, other.kind) == ("b", b"12345678", 2)


def test_json_has_hexadecimal_ids_and_numbers_for_enums() -> None:
    span = make_span("a", trace="ab" * 16, kind=3)
    (group,) = as_json(trace_request({"service.name": "x"}, [span], "lib"))["resourceSpans"]
    (shown,) = group["scopeSpans"][0]["spans"]
    assert (shown["traceId"], shown["spanId"], shown["kind"]) == ("ab" * 16, span.span_id.hex(), 3)
    assert shown["endTimeUnixNano"] == str(span.end_time_unix_nano)
    assert group["scopeSpans"][0]["scope"] == {"name": "lib"}


@pytest.mark.parametrize(
    ("value", "field"),
    [("a", "string_value"), (True, "bool_value"), (7, "int_value"), (0.5, "double_value"), (b"\0", "bytes_value")],
)
def test_a_value_takes_the_field_of_its_type(value: Any, field: str) -> None:
    assert any_value(value) == AnyValue(**{field: value})


def test_lists_and_mappings_nest() -> None:
    (pair,) = key_values({"a": {"b": [1, "x"]}})
    (inner,) = pair.value.kvlist_value.values
    assert [item.WhichOneof("value") for item in inner.value.array_value.values] == ["int_value", "string_value"]


def test_a_type_without_a_field_is_an_error() -> None:
    with pytest.raises(KeyError):
        any_value(object())


def test_the_signal_follows_from_the_message() -> None:
    requests = (trace_request({}, []), ExportMetricsServiceRequest(), ExportLogsServiceRequest())
    assert [signal_of(request) for request in requests] == ["traces", "metrics", "logs"]
