"""The spanmetrics connector: calls and durations per service, span name, kind and status. No sockets."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.trace.v1 import trace_pb2

from harness.emulators.go_durations import parse_seconds

from .signals import METRICS, TRACES, Data, as_string, attributes, set_any

_BUCKETS_MS = (2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000)
_UNITS = {"ms": 1e6, "s": 1e9}
_STATUS = ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")
_DELTA, _CUMULATIVE = 1, 2


@dataclass
class _Aggregate:
    dimensions: dict[str, Any]
    counts: list[int]
    calls: int = 0
    total: float = 0.0
    exemplars: list[tuple[bytes, bytes, float]] = field(default_factory=list)


@dataclass
class _Resource:
    attributes: dict[str, Any]
    updated: float = 0.0
    series: dict[tuple[Any, ...], _Aggregate] = field(default_factory=dict)


@dataclass
class SpanMetrics:
    """The connector's state. `clock` in seconds since the epoch; `instance_id` names this Collector."""

    settings: Mapping[str, Any]
    instance_id: str
    clock: Callable[[], float] = time.time
    _resources: dict[tuple[Any, ...], _Resource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        histogram = self.settings["histogram"]
        self.unit = histogram["unit"]
        self.scale = _UNITS[self.unit]
        configured = [parse_seconds(str(text)) * 1e9 / self.scale for text in histogram["explicit"]["buckets"]]
        self.bounds = configured or [bound * 1e6 / self.scale for bound in _BUCKETS_MS]
        self.started = int(self.clock() * 1e9)

    def observe(self, data: Data) -> None:
        """Count every span of a request whose resource has a service name."""
        for group in data.resource_spans:
            resource = attributes(group.resource.attributes)
            if "service.name" not in resource:
                continue
            found = self._resource(resource)
            for scope in group.scope_spans:
                for span in scope.spans:
                    self._observe_span(found, resource, span)

    def _resource(self, resource: dict[str, Any]) -> _Resource:
        keys = self.settings["resource_metrics_key_attributes"] or resource
        key = tuple(sorted((name, as_string(resource[name])) for name in keys if name in resource))
        found = self._resources.setdefault(key, _Resource(resource))
        found.updated = self.clock()
        return found

    def _observe_span(self, found: _Resource, resource: dict[str, Any], span: Any) -> None:
        dimensions = self._dimensions(resource, span)
        key = tuple((name, as_string(value)) for name, value in sorted(dimensions.items()))
        fresh = _Aggregate(dimensions, [0] * (len(self.bounds) + 1))
        aggregate = found.series.setdefault(key, fresh)
        duration = max(0, span.end_time_unix_nano - span.start_time_unix_nano) / self.scale
        aggregate.calls += 1
        aggregate.total += duration
        aggregate.counts[bisect_left(self.bounds, duration)] += 1
        exemplars = self.settings["exemplars"]
        if exemplars["enabled"] and span.trace_id and len(aggregate.exemplars) < exemplars["max_per_data_point"]:
            aggregate.exemplars.append((span.trace_id, span.span_id, duration))

    def _dimensions(self, resource: dict[str, Any], span: Any) -> dict[str, Any]:
        found: dict[str, Any] = {
            "service.name": as_string(resource["service.name"]),
            "span.name": span.name,
            "span.kind": trace_pb2.Span.SpanKind.Name(span.kind),
            "status.code": _STATUS[span.status.code],
            "collector.instance.id": self.instance_id,
        }
        for name in self.settings["exclude_dimensions"]:
            found.pop(name, None)
        own = attributes(span.attributes) if self.settings["dimensions"] else {}
        for dimension in self.settings["dimensions"]:
            name = dimension["name"]
            value = own.get(name, resource.get(name, dimension.get("default")))
            if value is not None:
                found[name] = value
        return found

    def collect(self) -> Data:
        """The metrics to pass on now; an empty request when there are none. Exemplars belong to one flush only."""
        request = METRICS.request()
        now = self.clock()
        expiry = self.settings["metrics_expiration"]
        if expiry > 0:
            self._resources = {key: found for key, found in self._resources.items() if now - found.updated < expiry}
        for found in self._resources.values():
            group = request.resource_metrics.add()
            if self.settings["add_resource_attributes"]:
                for name, value in found.attributes.items():
                    set_any(group.resource.attributes.add(key=name).value, value)
            scope = group.scope_metrics.add()
            scope.scope.name = "spanmetricsconnector"
            self._emit(scope.metrics, found, int(now * 1e9))
        if self._delta:
            self._resources.clear()
        return request

    @property
    def _delta(self) -> bool:
        return bool(self.settings["aggregation_temporality"] == "AGGREGATION_TEMPORALITY_DELTA")

    def _emit(self, metrics: Any, found: _Resource, now: int) -> None:
        prefix = f"{self.settings['namespace']}." if self.settings["namespace"] else ""
        temporality = _DELTA if self._delta else _CUMULATIVE
        calls = metrics.add(name=f"{prefix}calls")
        calls.sum.is_monotonic, calls.sum.aggregation_temporality = True, temporality
        for aggregate in found.series.values():
            point = self._point(calls.sum, aggregate, now)
            point.as_int = aggregate.calls
        if not self.settings["histogram"]["disable"]:
            durations = metrics.add(name=f"{prefix}duration", unit=self.unit)
            durations.histogram.aggregation_temporality = temporality
            for aggregate in found.series.values():
                point = self._point(durations.histogram, aggregate, now)
                point.count, point.sum = aggregate.calls, aggregate.total
                point.bucket_counts.extend(aggregate.counts)
                point.explicit_bounds.extend(self.bounds)
        for aggregate in found.series.values():
            aggregate.exemplars.clear()

    def _point(self, metric: Any, aggregate: _Aggregate, now: int) -> Any:
        point = metric.data_points.add(start_time_unix_nano=self.started, time_unix_nano=now)
        for name, value in aggregate.dimensions.items():
            set_any(point.attributes.add(key=name).value, value)
        for trace_id, span_id, value in aggregate.exemplars:
            point.exemplars.add(trace_id=trace_id, span_id=span_id, as_double=value, time_unix_nano=now)
        return point


SIGNAL = TRACES
"""What the connector takes; it gives metrics."""
