"""OTLP/JSON to protobuf, with the decoder errors Tempo's receiver gives.

Ids are hex of the exact length; keys may be camelCase or snake_case; 64-bit integers may be strings or numbers; enums
may be names or numbers; unknown keys are skipped.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status


class JsonError(Exception):
    """Not OTLP/JSON; the message follows the receiver's decoder."""


class _At(Exception):
    """Something wrong with the value that holds `needle`."""

    def __init__(self, what: str, needle: str) -> None:
        super().__init__(what)
        self.what, self.needle = what, needle


def decode(body: bytes) -> ExportTraceServiceRequest:
    """The request in a body. Raises JsonError."""
    text = body.decode("utf-8", "replace")
    try:
        data = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise JsonError(_syntax(text, getattr(error, "pos", 0))) from error
    try:
        request = ExportTraceServiceRequest()
        for item in _items(data, "resourceSpans"):
            _resource_spans(item, request.resource_spans.add())
    except _At as error:
        at = text.find(error.needle)
        raise JsonError(_located(error.what, text, max(at, 0) + len(error.needle))) from error
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise JsonError(f"ReadObject: {error}") from error
    return request


def _syntax(text: str, at: int) -> str:
    opened = re.match(r"\s*\{\s*", text)
    if opened and at == opened.end():
        return _located(f'ReadObject: expect " after {{, but found {text[at : at + 1]}', text, at + 1)
    return _located("ReadObject: unexpected character or end of input", text, at)


def _located(what: str, text: str, end: int) -> str:
    """The decoder's suffix: ten bytes either side, then fifty."""
    near, far = text[max(0, end - 10) : end + 10], text[max(0, end - 50) : end + 50]
    return f"{what}, error found in #{min(end, 10)} byte of ...|{near}|..., bigger context ...|{far}|..."


def _get(item: Any, camel: str) -> Any:
    if not isinstance(item, Mapping):
        shown = json.dumps(item)
        raise _At(f"ReadObject: expect {{ or , or }} or n, but found {shown[:1]}", shown)
    return item.get(camel, item.get(re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), camel)))


def _items(item: Mapping[str, Any], camel: str) -> list[Any]:
    found = _get(item, camel)
    if found is None:
        return []
    if not isinstance(found, list):
        shown = json.dumps(found)
        raise _At(f"ReadArray: expect [ or , or ] or n, but found {shown[:1]}", shown)
    return found


def _id(item: Mapping[str, Any], camel: str, length: int) -> bytes:
    text = _get(item, camel) or ""
    try:
        raw = bytes.fromhex(text) if len(text) in {0, 2 * length} else None
    except ValueError:
        raw = None
    if raw is None:
        raise _At("ID.UnmarshalJSONIter: length mismatch", json.dumps(text))
    return raw


def _int(item: Mapping[str, Any], camel: str) -> int:
    return int(_get(item, camel) or 0)


def _enum(item: Mapping[str, Any], camel: str, values: Callable[[str], int]) -> int:
    found = _get(item, camel) or 0
    return values(found) if isinstance(found, str) and not found.isdigit() else int(found)


def _resource_spans(item: Mapping[str, Any], into: ResourceSpans) -> None:
    into.schema_url = _get(item, "schemaUrl") or ""
    resource: Resource = into.resource
    described = _get(item, "resource") or {}
    _attributes(described, resource.attributes)
    resource.dropped_attributes_count = _int(described, "droppedAttributesCount")
    for scoped in _items(item, "scopeSpans"):
        _scope_spans(scoped, into.scope_spans.add())


def _scope_spans(item: Mapping[str, Any], into: ScopeSpans) -> None:
    into.schema_url = _get(item, "schemaUrl") or ""
    scope: InstrumentationScope = into.scope
    described = _get(item, "scope") or {}
    scope.name, scope.version = _get(described, "name") or "", _get(described, "version") or ""
    _attributes(described, scope.attributes)
    for span in _items(item, "spans"):
        _span(span, into.spans.add())


def _span(item: Mapping[str, Any], into: Span) -> None:
    into.trace_id, into.span_id = _id(item, "traceId", 16), _id(item, "spanId", 8)
    into.parent_span_id = _id(item, "parentSpanId", 8)
    into.trace_state, into.name = _get(item, "traceState") or "", _get(item, "name") or ""
    into.flags = _int(item, "flags")
    into.kind = _enum(item, "kind", Span.SpanKind.Value)  # type: ignore[assignment]
    into.start_time_unix_nano, into.end_time_unix_nano = _int(item, "startTimeUnixNano"), _int(item, "endTimeUnixNano")
    _attributes(item, into.attributes)
    for name in ("droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"):
        setattr(into, re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name), _int(item, name))
    for event in _items(item, "events"):
        made = into.events.add()
        made.name, made.time_unix_nano = _get(event, "name") or "", _int(event, "timeUnixNano")
        made.dropped_attributes_count = _int(event, "droppedAttributesCount")
        _attributes(event, made.attributes)
    for link in _items(item, "links"):
        linked = into.links.add()
        linked.trace_id, linked.span_id = _id(link, "traceId", 16), _id(link, "spanId", 8)
        linked.trace_state = _get(link, "traceState") or ""
        _attributes(link, linked.attributes)
    status = _get(item, "status") or {}
    into.status.message = _get(status, "message") or ""
    into.status.code = _enum(status, "code", Status.StatusCode.Value)  # type: ignore[assignment]


def _attributes(item: Mapping[str, Any], into: Any) -> None:
    for pair in _items(item, "attributes"):
        made: KeyValue = into.add()
        made.key = _get(pair, "key") or ""
        _any(_get(pair, "value") or {}, made.value)


def _any(item: Mapping[str, Any], into: AnyValue) -> None:
    scalars: dict[str, Callable[[Any], Any]] = {
        "stringValue": str, "boolValue": bool, "intValue": int, "doubleValue": float, "bytesValue": base64.b64decode,
    }  # fmt: skip
    for camel, convert in scalars.items():
        found = _get(item, camel)
        if found is not None:
            setattr(into, re.sub(r"V", "_v", camel), convert(found))
    array, pairs = _get(item, "arrayValue"), _get(item, "kvlistValue")
    if array is not None:
        into.array_value.SetInParent()
        for value in _items(array, "values"):
            _any(value or {}, into.array_value.values.add())
    if pairs is not None:
        into.kvlist_value.SetInParent()
        for pair in _items(pairs, "values"):
            made = into.kvlist_value.values.add()
            made.key = _get(pair, "key") or ""
            _any(_get(pair, "value") or {}, made.value)
