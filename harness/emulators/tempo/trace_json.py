"""Traces as Tempo hands them out: protobuf's JSON mapping, and span ids that a client and its server share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span


def resource_spans(batches: Iterable[ResourceSpans]) -> list[dict[str, Any]]:
    """What stands under `batches` (v1) or `resourceSpans` (v2): base64 ids, 64-bit integers as strings."""
    return [MessageToDict(batch) for batch in batches]


def separate_shared_ids(batches: list[ResourceSpans]) -> list[ResourceSpans]:
    """Give the server side of a client/server pair that shares one span id an id of its own (1, 2, ...).

    It becomes a child of the client span, and its own children follow it, as in Tempo's trace reading.
    """
    spans = _spans(batches)
    clients = {span.span_id for span in spans if span.kind == Span.SPAN_KIND_CLIENT}
    shared = {span.span_id for span in spans if span.kind == Span.SPAN_KIND_SERVER} & clients
    if not shared:
        return batches
    copies = [ResourceSpans.FromString(batch.SerializeToString()) for batch in batches]
    renamed: dict[bytes, bytes] = {}
    for span in _spans(copies):
        if span.span_id in shared and span.kind == Span.SPAN_KIND_SERVER:
            renamed[span.span_id] = (len(renamed) + 1).to_bytes(8, "big")
            span.parent_span_id, span.span_id = span.span_id, renamed[span.span_id]
    for span in _spans(copies):
        if span.parent_span_id in renamed and span.span_id not in renamed.values():
            span.parent_span_id = renamed[span.parent_span_id]
    return copies


def _spans(batches: Iterable[ResourceSpans]) -> list[Span]:
    return [span for batch in batches for scoped in batch.scope_spans for span in scoped.spans]
