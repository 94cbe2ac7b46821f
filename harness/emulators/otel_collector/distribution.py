"""Observations in buckets, and how a connector turns what it counted into OTLP metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .signals import set_any

CUMULATIVE = 2


@dataclass
class Distribution:
    """Counts per bucket, the last one without a bound, and their sum. `exemplars`: (trace id, span id, value)."""

    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    exemplars: list[tuple[bytes, bytes, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    @property
    def count(self) -> int:
        """How many were recorded."""
        return sum(self.counts)

    def record(self, value: float) -> None:
        """Put one observation in."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(frozen=True)
class Emitter:
    """Adds cumulative metrics to a repeated field; both times in nanoseconds since the epoch."""

    metrics: Any
    started: int
    now: int

    def counter(self, name: str, values: Sequence[tuple[Mapping[str, Any], int]]) -> None:
        """A monotonic sum, one point for each set of labels."""
        into = self.metrics.add(name=name).sum
        into.is_monotonic, into.aggregation_temporality = True, CUMULATIVE
        for labels, value in values:
            self._point(into, labels).as_int = value

    def histogram(self, name: str, unit: str, values: Sequence[tuple[Mapping[str, Any], Distribution]]) -> None:
        """A histogram, one point for each set of labels."""
        into = self.metrics.add(name=name, unit=unit).histogram
        into.aggregation_temporality = CUMULATIVE
        for labels, found in values:
            point = self._point(into, labels)
            point.count, point.sum = found.count, found.total
            point.bucket_counts.extend(found.counts)
            point.explicit_bounds.extend(found.bounds)
            for trace_id, span_id, value in found.exemplars:
                point.exemplars.add(trace_id=trace_id, span_id=span_id, as_double=value, time_unix_nano=self.now)

    def _point(self, into: Any, labels: Mapping[str, Any]) -> Any:
        point = into.data_points.add(start_time_unix_nano=self.started, time_unix_nano=self.now)
        for name, value in labels.items():
            set_any(point.attributes.add(key=name).value, value)
        return point
