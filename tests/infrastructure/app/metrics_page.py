"""`/metrics`: what the SDK has measured, in OpenMetrics text, each histogram bucket with its last exemplar."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate

from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    NumberDataPoint,
    Sum,
)
from opentelemetry.trace import format_span_id, format_trace_id

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
UNITS = {"s": "_seconds"}


class MetricsPage:
    """The SDK forgets an exemplar when it was read once; a page keeps the last of each bucket."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader
        self._exemplars: dict[tuple[str, str, int], str] = {}
        self._lock = threading.Lock()

    def render(self) -> str:
        """The page as it is now."""
        with self._lock:
            data = self._reader.get_metrics_data()
            groups = data.resource_metrics if data else []
            metrics = [metric for group in groups for scope in group.scope_metrics for metric in scope.metrics]
            return "".join(f"{line}\n" for metric in metrics for line in self._lines(metric)) + "# EOF\n"

    def _lines(self, metric: Metric) -> Iterator[str]:
        name = metric.name.replace(".", "_") + UNITS.get(metric.unit or "", "")
        if isinstance(metric.data, Histogram):
            yield f"# TYPE {name} histogram"
            for point in metric.data.data_points:
                yield from self._histogram(name, point)
        elif isinstance(metric.data, Sum | Gauge):
            counts = isinstance(metric.data, Sum) and metric.data.is_monotonic
            yield f"# TYPE {name} {'counter' if counts else 'gauge'}"
            for number in metric.data.data_points:
                yield _number(name + ("_total" if counts else ""), number)

    def _histogram(self, name: str, point: HistogramDataPoint) -> Iterator[str]:
        labels = _labels(point.attributes)
        for found in point.exemplars:
            if found.trace_id and found.span_id:
                ids = {"trace_id": format_trace_id(found.trace_id), "span_id": format_span_id(found.span_id)}
                words = f" # {{{_labels(ids)}}} {found.value} {found.time_unix_nano / 1e9:.3f}"
                self._exemplars[name, labels, bisect_left(point.explicit_bounds, found.value)] = words
        bounds = [*(str(bound) for bound in point.explicit_bounds), "+Inf"]
        for place, (bound, count) in enumerate(zip(bounds, accumulate(point.bucket_counts), strict=True)):
            exemplar = self._exemplars.get((name, labels, place), "")
            yield f'{name}_bucket{{{labels},le="{bound}"}} {count}{exemplar}'
        yield f"{name}_sum{{{labels}}} {point.sum}"
        yield f"{name}_count{{{labels}}} {point.count}"


def _number(name: str, point: NumberDataPoint) -> str:
    return f"{name}{{{_labels(point.attributes)}}} {point.value}"


def _labels(attributes: Mapping[str, object] | None) -> str:
    return ",".join(f'{key.replace(".", "_")}="{value}"' for key, value in (attributes or {}).items())
