"""The prometheus exporter's state: keeps the last point of every series and prints them on demand. No sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .distribution import CUMULATIVE, Distribution
from .exposition import Exemplar, Family, Sample, histogram_samples
from .failures import Failure
from .prometheus_names import label_name, metric_name
from .signals import METRICS, Data, as_string, attributes, points

_SERVICE = ("service.name", "service.namespace", "service.instance.id")
_KINDS = {"gauge": "gauge", "sum": "gauge", "histogram": "histogram"}


@dataclass(frozen=True)
class _Series:
    metric: Any
    point: Any
    resource: dict[str, Any]
    updated: float

    @property
    def kind(self) -> str:
        """The Prometheus type."""
        kind = self.metric.WhichOneof("data")
        return "counter" if kind == "sum" and self.metric.sum.is_monotonic else _KINDS[kind]

    def labels(self) -> dict[str, str]:
        own = {label_name(key): as_string(value) for key, value in attributes(self.point.attributes).items()}
        return {**own, **_job(self.resource)}

    def samples(self) -> Iterator[Sample]:
        found = list(_exemplars(self.point))
        if self.kind == "histogram":
            distribution = Distribution(list(self.point.explicit_bounds), total=self.point.sum)
            distribution.counts = list(self.point.bucket_counts) or [self.point.count]
            yield from histogram_samples(self.labels(), distribution, found)
        else:
            value = getattr(self.point, self.point.WhichOneof("value") or "as_double")
            yield Sample("", self.labels(), float(value), found[-1] if found and self.kind == "counter" else None)


@dataclass
class PrometheusStore:
    """Series by metric and labels; one without update for `metric_expiration` is gone. `clock` in seconds."""

    settings: Mapping[str, Any]
    clock: Callable[[], float] = time.time
    _series: dict[tuple[Any, ...], _Series] = field(default_factory=dict)

    async def push(self, data: Data) -> None:
        """Take a request in. Raises Failure (permanent) for what is not emulated: it is refused, not lost."""
        leaves = [(group, metric) for group, scope in METRICS.scope_groups(data) for metric in scope.metrics]
        for _, metric in leaves:
            kind = metric.WhichOneof("data")
            temporality = getattr(getattr(metric, str(kind)), "aggregation_temporality", CUMULATIVE) if kind else 0
            if kind not in _KINDS or temporality != CUMULATIVE:
                raise Failure(
                    None, f"metric {metric.name}: {kind}, delta or not, is not emulated (501)", permanent=True
                )
        for group, metric in leaves:
            resource = attributes(group.resource.attributes)
            for point in points(metric):
                self._take(_Series(metric, point, resource, self.clock()))

    def _take(self, series: _Series) -> None:
        key = (series.metric.name, tuple(sorted(series.labels().items())))
        known = self._series.get(key)
        if not known or known.point.time_unix_nano <= series.point.time_unix_nano:
            self._series[key] = series

    def families(self) -> list[Family]:
        """Everything that has not expired."""
        oldest = self.clock() - self.settings["metric_expiration"]
        self._series = {key: series for key, series in self._series.items() if series.updated >= oldest}
        groups: dict[tuple[str, str], list[_Series]] = {}
        for _, series in sorted(self._series.items(), key=lambda item: item[0]):
            name = metric_name(
                series.metric.name, series.metric.unit, series.kind, self.settings["add_metric_suffixes"]
            )
            groups.setdefault((name, series.kind), []).append(series)
        found = [
            Family(name, kind, rows[0].metric.description, tuple(sample for row in rows for sample in row.samples()))
            for (name, kind), rows in groups.items()
        ]
        return found + self._target_info()

    def _target_info(self) -> list[Family]:
        rows: dict[tuple[str, ...], dict[str, str]] = {}
        for series in self._series.values():
            job = _job(series.resource)
            extra = {label_name(k): as_string(v) for k, v in series.resource.items() if k not in _SERVICE}
            if job and extra:
                rows.setdefault(tuple(job.values()), {**extra, **job})
        samples = tuple(Sample("", labels, 1.0) for _, labels in sorted(rows.items()))
        return [Family("target_info", "gauge", "Target metadata", samples)] if samples else []


def _job(resource: Mapping[str, Any]) -> dict[str, str]:
    job = {}
    if "service.name" in resource:
        name = as_string(resource["service.name"])
        job["job"] = f"{resource['service.namespace']}/{name}" if "service.namespace" in resource else name
    if "service.instance.id" in resource:
        job["instance"] = as_string(resource["service.instance.id"])
    return job


def _exemplars(point: Any) -> Iterator[Exemplar]:
    for found in point.exemplars:
        labels = {"trace_id": found.trace_id.hex(), "span_id": found.span_id.hex()} if found.trace_id else {}
        value = getattr(found, found.WhichOneof("value") or "as_double")
        yield Exemplar(labels, float(value), found.time_unix_nano / 1e9)
