"""Spans as queries see them: typed attribute values, intrinsics, and the tree of one trace.

Built from OTLP protobuf once a trace is searchable. Bytes, key-value lists and mixed arrays are kept for reading by
id but cannot be queried, as in Tempo's storage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanProto

Scalar = str | int | float | bool
Value = Scalar | list[Scalar] | None
Attributes = dict[str, Value]

STATUSES = ("unset", "ok", "error")
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
NO_ROOT = "<root span not yet received>"

RESOURCE_COLUMNS: dict[str, type] = {
    **dict.fromkeys(
        ("k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name", "service.name"), str
    )
}
SPAN_COLUMNS: dict[str, type] = {
    "http.request.method": str, "http.response.status_code": int, "url.path": str, "url.route": str,
    "server.address": str, "server.port": int, "http.method": str, "http.url": str, "http.route": str,
    "http.status_code": int,
}  # fmt: skip
"""Dedicated columns of 3.0.3's default block configuration: stored apart, so they come back last, in this order."""


def word(words: tuple[str, ...], number: int) -> str:
    """The keyword of a status or kind; numbers beyond the list, which OTLP lets pass, show as themselves."""
    return words[number] if 0 <= number < len(words) else str(number)


def plain(value: AnyValue) -> Value:
    """The queryable value, None for what cannot be queried."""
    which = value.WhichOneof("value")
    if which == "array_value":
        items = [plain(item) for item in value.array_value.values]
        scalars = [item for item in items if item is not None and not isinstance(item, list)]
        return scalars if len(scalars) == len(items) and len({type(item) for item in items}) == 1 else None
    if which in {"string_value", "int_value", "double_value", "bool_value"}:
        found: Scalar = getattr(value, which)
        return found
    return None


def plain_attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """OTLP attributes by key."""
    return {pair.key: plain(pair.value) for pair in pairs}


def has_generic(attributes: Attributes, columns: dict[str, type]) -> bool:
    """Whether any attribute lies outside the dedicated columns; `= nil` only sees such spans."""
    return any(not isinstance(value, columns.get(key, ())) for key, value in attributes.items())


@dataclass(frozen=True, slots=True)
class Owner:
    """What the spans of one scope share: resource and instrumentation."""

    resource: Attributes
    name: str
    version: str
    scope: Attributes


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a span; `since` is nanoseconds after the span's start."""

    name: str
    since: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a span, ids in hex."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(slots=True, eq=False)
class Span:
    """One span; times in Unix nanoseconds."""

    span_id: bytes
    parent_id: bytes
    name: str
    kind: int
    start: int
    end: int
    status: int
    message: str
    attributes: Attributes
    owner: Owner
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    trace: TraceRow

    @property
    def duration(self) -> int:
        """Nanoseconds; a span that ends before it starts wraps around as Tempo's unsigned arithmetic does."""
        return (self.end - self.start) & 0xFFFFFFFFFFFFFFFF


@dataclass(slots=True, eq=False)
class TraceRow:
    """The spans of one trace that lie in one block."""

    trace_id: bytes
    spans: list[Span] = field(default_factory=list)

    @property
    def start(self) -> int:
        """Earliest start."""
        return min((span.start for span in self.spans), default=0)

    @property
    def end(self) -> int:
        """Latest end."""
        return max((span.end for span in self.spans), default=0)

    @property
    def duration(self) -> int:
        """Nanoseconds from the first start to the last end."""
        return (self.end - self.start) & 0xFFFFFFFFFFFFFFFF

    @property
    def root(self) -> Span | None:
        """The first span without a parent."""
        return next((span for span in self.spans if not span.parent_id.strip(b"\0")), None)

    def add(self, resource_spans: ResourceSpans) -> None:
        """Append the spans of one resource."""
        resource = plain_attributes(resource_spans.resource.attributes)
        for scoped in resource_spans.scope_spans:
            scope = scoped.scope
            owner = Owner(resource, scope.name, scope.version, plain_attributes(scope.attributes))
            self.spans.extend(_span(proto, owner, self) for proto in scoped.spans)

    def family(self) -> dict[bytes, Span]:
        """Spans by id, for structural operators."""
        return {span.span_id: span for span in self.spans}


def _span(proto: SpanProto, owner: Owner, trace: TraceRow) -> Span:
    start = proto.start_time_unix_nano
    events = tuple(
        Event(event.name, event.time_unix_nano - start, plain_attributes(event.attributes)) for event in proto.events
    )
    links = tuple(
        Link(link.trace_id.hex(), link.span_id.hex(), plain_attributes(link.attributes)) for link in proto.links
    )
    return Span(
        proto.span_id, proto.parent_span_id, proto.name, proto.kind, start, proto.end_time_unix_nano,
        proto.status.code, proto.status.message, plain_attributes(proto.attributes), owner, events, links, trace,
    )  # fmt: skip


def store_form(resource_spans: ResourceSpans) -> None:
    """Change a message in place as Tempo's storage does: resource attributes sorted,
    dedicated columns last, flags and schema URLs lost.
    """
    resource_spans.schema_url = ""
    resource_spans.resource.attributes.sort(key=lambda pair: pair.key)
    _columns_last(resource_spans.resource.attributes, RESOURCE_COLUMNS)
    for scoped in resource_spans.scope_spans:
        scoped.schema_url = ""
        for span in scoped.spans:
            span.flags = 0
            _columns_last(span.attributes, SPAN_COLUMNS)


def _columns_last(pairs: list[KeyValue], columns: dict[str, type]) -> None:
    order = {key: place for place, key in enumerate(columns)}

    def place(pair: KeyValue) -> int:
        return order[pair.key] if isinstance(plain(pair.value), columns.get(pair.key, ())) else -1

    pairs.sort(key=place)
