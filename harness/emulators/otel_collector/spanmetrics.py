"""The spanmetrics connector: calls and durations per service, span name, kind and status. No sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.trace.v1 import trace_pb2

from .distribution import Distribution, Emitter
from .signals import METRICS, Data, as_string, attributes, set_any

_BOUNDS_MS = (2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000)
_STATUS = ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")
_Series = dict[tuple[str, ...], Distribution]


@dataclass
class SpanMetrics:
    """The connector's state. `clock` in seconds since the epoch; `instance_id` names this Collector."""

    settings: Mapping[str, Any]
    instance_id: str
    clock: Callable[[], float] = time.time
    _resources: dict[tuple[Any, ...], tuple[dict[str, Any], _Series]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = int(self.clock() * 1e9)

    def observe(self, data: Data) -> None:
        """Count every span of a request whose resource has a service name."""
        for group in data.resource_spans:
            resource = attributes(group.resource.attributes)
            if "service.name" not in resource:
                continue
            key = tuple(sorted((name, as_string(value)) for name, value in resource.items()))
            _, series = self._resources.setdefault(key, (resource, {}))
            for scope in group.scope_spans:
                for span in scope.spans:
                    self._observe_span(series, span)

    def _observe_span(self, series: _Series, span: Any) -> None:
        key = (span.name, trace_pb2.Span.SpanKind.Name(span.kind), _STATUS[span.status.code])
        found = series.setdefault(key, Distribution(_BOUNDS_MS))
        milliseconds = max(0, span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        found.record(milliseconds)
        exemplars = self.settings["exemplars"]
        if exemplars["enabled"] and span.trace_id and len(found.exemplars) < exemplars["max_per_data_point"]:
            found.exemplars.append((span.trace_id, span.span_id, milliseconds))

    def collect(self) -> Data:
        """The metrics to pass on now; an empty request when there are none. Exemplars belong to one flush only."""
        request = METRICS.request()
        for resource, series in self._resources.values():
            group = request.resource_metrics.add()
            for name, value in resource.items() if self.settings["add_resource_attributes"] else ():
                set_any(group.resource.attributes.add(key=name).value, value)
            scope = group.scope_metrics.add()
            scope.scope.name = "spanmetricsconnector"
            rows = [(self._labels(as_string(resource["service.name"]), key), found) for key, found in series.items()]
            emit = Emitter(scope.metrics, self.started, int(self.clock() * 1e9))
            emit.counter("traces.span.metrics.calls", [(labels, found.count) for labels, found in rows])
            emit.histogram("traces.span.metrics.duration", "ms", rows)
            for found in series.values():
                found.exemplars.clear()
        return request

    def _labels(self, service: str, key: tuple[str, ...]) -> dict[str, str]:
        names = ("span.name", "span.kind", "status.code")
        known = dict(zip(names, key, strict=True))
        return {"service.name": service, **known, "collector.instance.id": self.instance_id}
