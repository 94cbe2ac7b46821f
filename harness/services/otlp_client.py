"""Telemetry made by hand: what an SDK would not send (late, out of order, malformed), with exact bytes and times.

The messages are OTLP's own protobuf types; `opentelemetry` is imported where it is used, so that knowing this is free.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.model import Endpoint
from harness.probes.http import Answer, ask

TIMEOUT = 5.0
"""Seconds for one export."""
MILLISECOND = 1_000_000
HEX_FIELDS = frozenset({"traceId", "spanId", "parentSpanId"})
"""Ids are hexadecimal in OTLP's JSON, against protobuf's own mapping. Source: OTLP, "JSON Protobuf Encoding"."""


def make_span(
    name: str = "work",
    *,
    trace: str = "",
    parent: bytes = b"",
    milliseconds: float = 1,
    end: int = 0,
    attributes: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Any:
    """An OTLP `Span` that ended at `end` (Unix nanoseconds, now by default) after `milliseconds`, with random ids.

    `trace` is 32 hexadecimal digits; `fields` are further fields of the message: `kind`, `status`, `events`, ...
    """
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    end = end or time.time_ns()
    given: dict[str, Any] = {
        "trace_id": bytes.fromhex(trace) if trace else secrets.token_bytes(16),
        "span_id": secrets.token_bytes(8),
        "parent_span_id": parent,
        "kind": Span.SPAN_KIND_INTERNAL,
        "name": name,
        "start_time_unix_nano": end - round(milliseconds * MILLISECOND),
        "end_time_unix_nano": end,
        "attributes": key_values(attributes or {}),
    }
    return Span(**(given | fields))


def trace_request(resource: Mapping[str, Any], spans: Iterable[Any], scope: str = "handmade") -> Any:
    """An `ExportTraceServiceRequest` with the spans of one resource, under one instrumentation scope."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(key_values(resource))
    scoped = group.scope_spans.add()
    scoped.scope.name = scope
    scoped.spans.extend(spans)
    return request


def key_values(attributes: Mapping[str, Any]) -> list[Any]:
    """Attributes as OTLP writes them: text, bool, int, float, bytes, and lists and mappings of these."""
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def any_value(value: Any) -> Any:
    """One value as an OTLP `AnyValue`."""
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList

    if isinstance(value, Mapping):
        return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    if isinstance(value, list | tuple):
        return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
    fields = {bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value", str: "string_value"}
    return AnyValue(**{fields[type(value)]: value})


def as_json(message: Any) -> Any:
    """A message in OTLP's JSON form, for a body of `application/json`."""
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]

    return _hexadecimal(MessageToDict(message, use_integers_for_enums=True))


def _hexadecimal(node: Any, key: str = "") -> Any:
    import base64

    if isinstance(node, dict):
        return {name: _hexadecimal(value, name) for name, value in node.items()}
    if isinstance(node, list):
        return [_hexadecimal(item) for item in node]
    return base64.b64decode(node).hex() if key in HEX_FIELDS else node


def export_http(
    endpoint: Endpoint, request: Any, *, encoding: str = "protobuf", headers: Mapping[str, str] | None = None
) -> Answer:
    """POST a request to its signal's path, as `protobuf` or `json`; the answer whatever its status is."""
    path = f"/v1/{signal_of(request)}"
    if encoding == "json":
        return ask(endpoint, path, "POST", as_json(request), headers, timeout=TIMEOUT)
    sent = {"Content-Type": "application/x-protobuf", **(headers or {})}
    return ask(endpoint, path, "POST", request.SerializeToString(), sent, timeout=TIMEOUT)


def export_grpc(endpoint: Endpoint, request: Any, metadata: Sequence[tuple[str, str]] = ()) -> Any:
    """Call the signal's `Export`. Raises grpc.RpcError when it is refused."""
    import importlib

    message = type(request)
    service = message.__name__.removeprefix("Export").removesuffix("Request")
    answer = getattr(importlib.import_module(message.__module__), f"Export{service}Response")
    with _channel(endpoint) as channel:
        call = channel.unary_unary(
            f"/{request.DESCRIPTOR.file.package}.{service}/Export",
            request_serializer=message.SerializeToString,
            response_deserializer=answer.FromString,
        )
        return call(request, timeout=TIMEOUT, metadata=tuple(metadata))


def _channel(endpoint: Endpoint) -> Any:
    import grpc

    direct = [("grpc.enable_http_proxy", 0)]
    if not endpoint.encrypted:
        return grpc.insecure_channel(endpoint.address, options=direct)
    authority = Path(endpoint.authority).read_bytes() if endpoint.authority else None
    return grpc.secure_channel(endpoint.address, grpc.ssl_channel_credentials(authority), options=direct)


def signal_of(request: Any) -> str:
    """`traces`, `metrics` or `logs`, by the message's type."""
    package = str(request.DESCRIPTOR.file.package).split(".")[-2]
    return "traces" if package == "trace" else package
