"""The three signals: their OTLP messages, how items are counted, checked, split and merged. No sockets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as _logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as _metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as _trace

Data = Any
"""An `Export{Trace,Metrics,Logs}ServiceRequest`; the same bytes on the wire as `TracesData` and its siblings."""


class BadId(ValueError):
    """An id of the wrong length. The message names the type as the Collector's unmarshaller does."""


@dataclass(frozen=True)
class Signal:
    """One signal. `items` is the word in metric names, `service` the gRPC service, `path` the HTTP path."""

    name: str
    items: str
    service: str
    path: str
    request: Any
    response: Any
    groups: str
    scopes: str
    leaves: str

    def scope_groups(self, data: Data) -> Iterator[tuple[Any, Any]]:
        """Every (resource group, scope group) of a request."""
        for group in getattr(data, self.groups):
            for scope in getattr(group, self.scopes):
                yield group, scope

    def count(self, data: Data) -> int:
        """Spans, data points or log records in a request."""
        if self is METRICS:
            return sum(len(points(metric)) for _, scope in self.scope_groups(data) for metric in scope.metrics)
        return sum(len(getattr(scope, self.leaves)) for _, scope in self.scope_groups(data))

    def check_ids(self, data: Data) -> None:
        """Blank all-zero ids, as the Collector re-encodes them. Raises BadId for one of the wrong length."""
        for holder in self._id_holders(data):
            if holder.trace_id:
                holder.trace_id = _checked(holder.trace_id, 16, "TraceID")
            if holder.span_id:
                holder.span_id = _checked(holder.span_id, 8, "SpanID")
            if self is TRACES and getattr(holder, "parent_span_id", None):
                holder.parent_span_id = _checked(holder.parent_span_id, 8, "SpanID")

    def _id_holders(self, data: Data) -> Iterator[Any]:
        for _, scope in self.scope_groups(data):
            for leaf in getattr(scope, self.leaves):
                if self is METRICS:
                    for point in points(leaf):
                        yield from getattr(point, "exemplars", ())
                    continue
                yield leaf
                if self is TRACES:
                    yield from leaf.links

    def split(self, data: Data, limit: int) -> tuple[Data, Data]:
        """The first `limit` items and the rest. A metric with more points than fit stays whole in the first part."""
        first, rest, room = self.request(), self.request(), limit
        for group in getattr(data, self.groups):
            for scope in getattr(group, self.scopes):
                leaves = list(getattr(scope, self.leaves))
                taken = 0
                while taken < len(leaves) and room > 0:
                    room -= len(points(leaves[taken])) if self is METRICS else 1
                    taken += 1
                self._append(first, group, scope, leaves[:taken])
                self._append(rest, group, scope, leaves[taken:])
        return first, rest

    def _append(self, data: Data, group: Any, scope: Any, leaves: list[Any]) -> None:
        if not leaves:
            return
        target = getattr(data, self.groups).add(resource=group.resource, schema_url=group.schema_url)
        inner = getattr(target, self.scopes).add(scope=scope.scope, schema_url=scope.schema_url)
        getattr(inner, self.leaves).extend(leaves)


def _checked(value: bytes, length: int, kind: str) -> bytes:
    if len(value) != length:
        raise BadId(f"unmarshal: invalid {kind} length")
    return value if any(value) else b""


def points(metric: Any) -> Any:
    """The data points of a metric of any type; an empty tuple for a metric without data."""
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()


TRACES = Signal(
    "traces", "spans", "opentelemetry.proto.collector.trace.v1.TraceService", "/v1/traces",
    _trace.ExportTraceServiceRequest, _trace.ExportTraceServiceResponse, "resource_spans", "scope_spans", "spans",
)  # fmt: skip
METRICS = Signal(
    "metrics", "metric_points", "opentelemetry.proto.collector.metrics.v1.MetricsService", "/v1/metrics",
    _metrics.ExportMetricsServiceRequest, _metrics.ExportMetricsServiceResponse,
    "resource_metrics", "scope_metrics", "metrics",
)  # fmt: skip
LOGS = Signal(
    "logs", "log_records", "opentelemetry.proto.collector.logs.v1.LogsService", "/v1/logs",
    _logs.ExportLogsServiceRequest, _logs.ExportLogsServiceResponse, "resource_logs", "scope_logs", "log_records",
)  # fmt: skip
SIGNALS = {signal.name: signal for signal in (TRACES, METRICS, LOGS)}


def any_value(value: Any) -> Any:
    """An OTLP AnyValue as a plain Python value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [any_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, kind)


def attributes(pairs: Any) -> dict[str, Any]:
    """OTLP attributes as a plain mapping."""
    return {pair.key: any_value(pair.value) for pair in pairs}


def as_string(value: Any) -> str:
    """A value as the Collector's `AsString` prints it."""
    import json

    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return json.dumps(value, separators=(",", ":"), default=str)


def set_any(target: Any, value: Any) -> None:
    """Put a plain scalar into an OTLP AnyValue."""
    field = {bool: "bool_value", int: "int_value", float: "double_value"}.get(type(value), "string_value")
    setattr(target, field, value if field != "string_value" else as_string(value))
