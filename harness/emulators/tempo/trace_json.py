"""Traces as JSON: Tempo's protobuf mapping (base64 ids, 64-bit integers as strings), and the flattened LLM form."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from harness.emulators.tempo.spans import plain


def separate_shared_ids(batches: list[ResourceSpans]) -> list[ResourceSpans]:
    """Give the server side of a client/server pair that shares one span id an id of its own (1, 2, ...).

    It becomes a child of the client span, and its own children follow it, as in Tempo's trace reading.
    """
    spans = [span for batch in batches for scoped in batch.scope_spans for span in scoped.spans]
    clients = {span.span_id for span in spans if span.kind == Span.SPAN_KIND_CLIENT}
    shared = {span.span_id for span in spans if span.kind == Span.SPAN_KIND_SERVER} & clients
    if not shared:
        return batches
    copies = [ResourceSpans.FromString(batch.SerializeToString()) for batch in batches]
    renamed: dict[bytes, bytes] = {}
    every = [span for batch in copies for scoped in batch.scope_spans for span in scoped.spans]
    for span in every:
        if span.span_id in shared and span.kind == Span.SPAN_KIND_SERVER:
            renamed[span.span_id] = (len(renamed) + 1).to_bytes(8, "big")
            span.parent_span_id, span.span_id = span.span_id, renamed[span.span_id]
    for span in every:
        if span.parent_span_id in renamed and span.span_id not in renamed.values():
            span.parent_span_id = renamed[span.parent_span_id]
    return copies


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _some(**fields: Any) -> dict[str, Any]:
    """The fields that are not zero, as protobuf's JSON omits the others."""
    return {key: value for key, value in fields.items() if value}


def _name(enum: Any, number: int) -> str | int:
    """An enum value by name, by number when it has none."""
    return str(enum.Name(number)) if number in enum.values() else number


def any_value(value: AnyValue) -> dict[str, Any]:
    """One attribute value."""
    which = value.WhichOneof("value")
    if which == "array_value":
        return {"arrayValue": _some(values=[any_value(item) for item in value.array_value.values])}
    if which == "kvlist_value":
        return {"kvlistValue": _some(values=attributes(value.kvlist_value.values))}
    if which == "int_value":
        return {"intValue": str(value.int_value)}
    if which == "bytes_value":
        return {"bytesValue": _b64(value.bytes_value)}
    if which is None:
        return {}
    return {which.partition("_")[0] + "Value": getattr(value, which)}


def attributes(pairs: Iterable[KeyValue]) -> list[dict[str, Any]]:
    """Attributes in their order."""
    return [{"key": pair.key, "value": any_value(pair.value)} for pair in pairs]


def _status(status: Status) -> dict[str, Any]:
    return _some(message=status.message, code=_name(Status.StatusCode, status.code) if status.code else 0)


def _span(span: Span) -> dict[str, Any]:
    events = [
        _some(timeUnixNano=str(event.time_unix_nano), name=event.name, attributes=attributes(event.attributes),
              droppedAttributesCount=event.dropped_attributes_count)
        for event in span.events
    ]  # fmt: skip
    links = [
        _some(traceId=_b64(link.trace_id), spanId=_b64(link.span_id), traceState=link.trace_state,
              attributes=attributes(link.attributes), droppedAttributesCount=link.dropped_attributes_count)
        for link in span.links
    ]  # fmt: skip
    shown = _some(
        traceId=_b64(span.trace_id), spanId=_b64(span.span_id), traceState=span.trace_state,
        parentSpanId=_b64(span.parent_span_id), flags=span.flags, name=span.name,
        kind=_name(Span.SpanKind, span.kind) if span.kind else 0,
        startTimeUnixNano=str(span.start_time_unix_nano), endTimeUnixNano=str(span.end_time_unix_nano),
        attributes=attributes(span.attributes), droppedAttributesCount=span.dropped_attributes_count,
        events=events, droppedEventsCount=span.dropped_events_count, links=links,
        droppedLinksCount=span.dropped_links_count,
    )  # fmt: skip
    return shown | {"status": _status(span.status)}


def _scope(scoped: ScopeSpans) -> dict[str, Any]:
    scope = scoped.scope
    return _some(name=scope.name, version=scope.version, attributes=attributes(scope.attributes),
                 droppedAttributesCount=scope.dropped_attributes_count)  # fmt: skip


def resource_spans(batches: Iterable[ResourceSpans]) -> list[dict[str, Any]]:
    """What stands under `batches` (v1) or `resourceSpans` (v2)."""
    return [
        {
            "resource": _some(
                attributes=attributes(batch.resource.attributes),
                droppedAttributesCount=batch.resource.dropped_attributes_count,
            ),
            "scopeSpans": [
                {"scope": _scope(scoped), "spans": [_span(span) for span in scoped.spans]}
                | _some(schemaUrl=scoped.schema_url)
                for scoped in batch.scope_spans
            ],
        }
        | _some(schemaUrl=batch.schema_url)
        for batch in batches
    ]


# -- the LLM form


def _flat(pairs: Iterable[KeyValue], without: str = "") -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in sorted(pairs, key=lambda pair: pair.key) if pair.key != without}


def _llm_span(span: Span) -> dict[str, Any]:
    events = [
        _some(name=event.name, timeUnixNano=str(event.time_unix_nano), attributes=_flat(event.attributes))
        for event in span.events
    ]
    links = [
        _some(traceId=link.trace_id.hex(), spanId=link.span_id.hex(), attributes=_flat(link.attributes))
        for link in span.links
    ]
    shown = _some(
        spanId=span.span_id.hex(), name=span.name, parentSpanId=span.parent_span_id.hex(),
        kind=_name(Span.SpanKind, span.kind), startTimeUnixNano=str(span.start_time_unix_nano),
        endTimeUnixNano=str(span.end_time_unix_nano),
        durationMs=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
        attributes=_flat(span.attributes), events=events, links=links,
    )  # fmt: skip
    return shown | {"status": {"code": _name(Status.StatusCode, span.status.code), "message": span.status.message}}


def llm_trace(trace_id: bytes, batches: Iterable[ResourceSpans]) -> dict[str, Any]:
    """The trace as `application/vnd.grafana.llm` shows it: hex ids, plain attributes, grouped by service."""
    services = []
    for batch in batches:
        name = next((pair.value.string_value for pair in batch.resource.attributes if pair.key == "service.name"), "")
        scopes = [
            _some(name=scoped.scope.name, version=scoped.scope.version)
            | {"spans": [_llm_span(s) for s in scoped.spans]}
            for scoped in batch.scope_spans
        ]
        resource = _some(resource=_flat(batch.resource.attributes, "service.name"))
        services.append({"serviceName": name} | resource | {"scopes": scopes})
    return {"traceId": trace_id.hex(), "services": services}
