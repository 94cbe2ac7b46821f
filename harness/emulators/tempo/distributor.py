"""Takes OTLP requests: checks them whole, limits them, truncates attributes, hands traces to the live store."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from harness.emulators.runner import Defects
from harness.emulators.tempo.counters import Counters
from harness.emulators.tempo.limits import Overrides, RateLimiter
from harness.emulators.tempo.live_store import LiveStore
from harness.emulators.tempo.settings import Settings

INVALID_ARGUMENT = 3
RESOURCE_EXHAUSTED = 8
INTERNAL = 13
UNAVAILABLE = 14


class Refusal(Exception):
    """A push that is refused: gRPC code, Tempo's message, and after how many seconds to come again (0: not said)."""

    def __init__(self, code: int, message: str, retry_seconds: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.retry_seconds = code, message, retry_seconds


def parse_protobuf(body: bytes) -> ExportTraceServiceRequest:
    """The request in an OTLP/protobuf body. Raises ValueError in Tempo's words."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except Exception as error:  # protobuf's DecodeError lives in the backend that is in use
        raise ValueError("unexpected EOF") from error
    for span in _spans(request):
        if len(span.trace_id) not in {0, 16}:
            raise ValueError("unmarshal: invalid TraceID length")
        if any(len(part) not in {0, 8} for part in (span.span_id, span.parent_span_id)):
            raise ValueError("unmarshal: invalid SpanID length")
    return request


def _spans(request: ExportTraceServiceRequest) -> list[Span]:
    return [span for resource in request.resource_spans for scoped in resource.scope_spans for span in scoped.spans]


class Distributor:
    """The write path, wire apart."""

    def __init__(
        self, settings: Settings, overrides: Overrides, store: LiveStore, counters: Counters, defects: Defects
    ) -> None:
        self._settings = settings
        self._overrides = overrides
        self._store = store
        self._counters = counters
        self._defects = defects
        self._limiter = RateLimiter()

    def push(self, tenant: str, request: ExportTraceServiceRequest, transport: str, now: float) -> None:
        """Take a request whole or raise Refusal. Over-limit traces are dropped silently, as in Tempo."""
        count = len(_spans(request))
        if not count:
            return
        _complete(request)
        try:
            self._check(tenant, request, now)
        except Refusal:
            self._counters.add(
                "tempo_receiver_refused_spans", count, receiver="otlp/otlp_receiver", transport=transport
            )
            raise
        self._counters.add("tempo_receiver_accepted_spans", count, receiver="otlp/otlp_receiver", transport=transport)
        self._counters.add("tempo_distributor_spans_received_total", count, tenant=tenant)
        self._counters.add("tempo_distributor_bytes_received_total", _size(request), tenant=tenant)
        self._truncate(request)
        self._spoil(request)
        limits = self._overrides.limits(tenant)
        for trace_id, batches in _by_trace(request).items():
            reason = self._store.push(tenant, trace_id, batches, limits, now)
            if reason:
                self._discard(tenant, reason, sum(len(scoped.spans) for one in batches for scoped in one.scope_spans))

    def _discard(self, tenant: str, reason: str, count: int) -> None:
        self._counters.add("tempo_discarded_spans_total", count, reason=reason, tenant=tenant)

    def _check(self, tenant: str, request: ExportTraceServiceRequest, now: float) -> None:
        spans = _spans(request)
        limits = self._overrides.limits(tenant)
        size = _size(request)
        refusal = self._limiter.refusal(tenant, size, limits, now)
        if refusal and "limit-ignored" not in self._defects:
            self._discard(tenant, "rate_limited", len(spans))
            retry = int(self._settings.retry_after) if limits.retry_info else 0
            raise Refusal(RESOURCE_EXHAUSTED, refusal, retry)
        if all(span.trace_id.strip(b"\0") for span in spans):
            return
        if "half-rejected" in self._defects:
            return
        # One bad id costs the whole request, good spans included.
        self._discard(tenant, "invalid_trace_id", len(spans))
        raise Refusal(INVALID_ARGUMENT, "trace ids must be 128 bit, received 0 bits")

    def _truncate(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            self._shorten(resource.resource.attributes, "resource")
            for scoped in resource.scope_spans:
                self._shorten(scoped.scope.attributes, "scope")
                for span in scoped.spans:
                    self._shorten(span.attributes, "span")
                    for event in span.events:
                        self._shorten(event.attributes, "event")
                    for link in span.links:
                        self._shorten(link.attributes, "link")

    def _shorten(self, pairs: Any, scope: str) -> None:
        limit = self._settings.max_attribute_bytes
        pair: KeyValue
        for pair in pairs if limit else ():
            if len(pair.value.string_value) * 4 > limit:  # at most four bytes a character
                raw = pair.value.string_value.encode()
                if len(raw) > limit:
                    pair.value.string_value = raw[:limit].decode("utf-8", "ignore")
                    self._counters.add("tempo_distributor_attributes_truncated_total", scope=scope)

    def _spoil(self, request: ExportTraceServiceRequest) -> None:
        """The seeded defects of the write path."""
        groups = [scoped.spans for resource in request.resource_spans for scoped in resource.scope_spans]
        if "half-rejected" in self._defects:
            for spans in groups:
                bad = [place for place, span in enumerate(spans) if not span.trace_id.strip(b"\0")]
                for place in reversed(bad):
                    del spans[place]
        if "dropped-span" in self._defects and sum(map(len, groups)) > 1:
            del groups[-1][-1]
        if "duplicate-span" in self._defects and groups and groups[0]:
            groups[0].add().CopyFrom(groups[0][0])


def _complete(request: ExportTraceServiceRequest) -> None:
    """Add the empty messages that Tempo's own OTLP types always carry."""
    for resource in request.resource_spans:
        resource.resource.SetInParent()
        for scoped in resource.scope_spans:
            scoped.scope.SetInParent()
            for span in scoped.spans:
                span.status.SetInParent()


def _size(request: ExportTraceServiceRequest) -> int:
    """Bytes as Tempo counts them: its types write an empty parent id too."""
    size: int = request.ByteSize()
    return size + 2 * sum(not span.parent_span_id for span in _spans(request))


def _by_trace(request: ExportTraceServiceRequest) -> dict[bytes, list[ResourceSpans]]:
    """The request's spans by trace, resources and scopes repeated where a request mixes traces."""
    ids = {span.trace_id for span in _spans(request)}
    if len(ids) == 1:
        return {ids.pop(): list(request.resource_spans)}
    found: dict[bytes, list[ResourceSpans]] = {}
    for resource in request.resource_spans:
        mine: dict[bytes, ResourceSpans] = {}
        for scoped in resource.scope_spans:
            scopes: dict[bytes, ScopeSpans] = {}
            for span in scoped.spans:
                if span.trace_id not in scopes:
                    holder = mine.setdefault(span.trace_id, _empty(resource))
                    scopes[span.trace_id] = holder.scope_spans.add(schema_url=scoped.schema_url, scope=scoped.scope)
                scopes[span.trace_id].spans.add().CopyFrom(span)
        for trace_id, batch in mine.items():
            found.setdefault(trace_id, []).append(batch)
    return found


def _empty(resource: ResourceSpans) -> ResourceSpans:
    return ResourceSpans(resource=resource.resource, schema_url=resource.schema_url)
