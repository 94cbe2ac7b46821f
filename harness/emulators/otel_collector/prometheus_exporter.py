"""The prometheus exporter: keeps the last value of every series and prints them on demand. No sockets."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .exposition import Exemplar, Family, Sample
from .prometheus_names import label_name, metric_name
from .signals import METRICS, Data, as_string, attributes, points

_DELTA = 1
_SERVICE = ("service.name", "service.namespace", "service.instance.id")


@dataclass
class _Series:
    metric: Any
    point: Any
    resource: dict[str, Any]
    scope: Any
    updated: float


@dataclass
class PrometheusStore:
    """Series by metric, scope and labels; one without update for `metric_expiration` is gone. `clock` in seconds."""

    settings: Mapping[str, Any]
    clock: Callable[[], float] = time.time
    _series: dict[tuple[Any, ...], _Series] = field(default_factory=dict)

    async def push(self, data: Data) -> None:
        """Take a request in."""
        now = self.clock()
        for group, scope in METRICS.scope_groups(data):
            resource = attributes(group.resource.attributes)
            for metric in scope.metrics:
                for point in points(metric):
                    self._take(metric, point, resource, scope.scope, now)

    def _take(self, metric: Any, point: Any, resource: dict[str, Any], scope: Any, now: float) -> None:
        labels = tuple(sorted((key, as_string(value)) for key, value in attributes(point.attributes).items()))
        owner = tuple(sorted((key, as_string(value)) for key, value in resource.items()))
        key = (metric.name, metric.WhichOneof("data"), scope.name, scope.version, labels, owner)
        known = self._series.get(key)
        temporality = getattr(getattr(metric, metric.WhichOneof("data")), "aggregation_temporality", 0)
        if temporality == _DELTA:
            if known and known.point.start_time_unix_nano > point.time_unix_nano:
                return
            point = _accumulate(known.point, point) if known else point
        elif known and known.point.time_unix_nano > point.time_unix_nano:
            return
        self._series[key] = _Series(metric, point, resource, scope, now)

    def families(self) -> list[Family]:
        """Everything that has not expired."""
        oldest = self.clock() - self.settings["metric_expiration"]
        self._series = {key: series for key, series in self._series.items() if series.updated >= oldest}
        groups: dict[str, list[_Series]] = {}
        for series in self._series.values():
            groups.setdefault(self._name(series.metric), []).append(series)
        families = [self._family(name, found) for name, found in groups.items()]
        return families + self._target_info()

    def _name(self, metric: Any) -> str:
        return metric_name(
            metric.name, metric.unit, kind_of(metric), self.settings["namespace"], self.settings["add_metric_suffixes"]
        )

    def _family(self, name: str, found: Sequence[_Series]) -> Family:
        kind = kind_of(found[0].metric)
        same = [series for series in found if kind_of(series.metric) == kind]
        print_point = {"histogram": _histogram, "summary": _summary}.get(kind, _number)
        rows = sorted(((self._labels(series), series) for series in same), key=lambda row: sorted(row[0].items()))
        samples = tuple(
            sample for labels, series in rows for sample in print_point(labels, series, self._stamp(series))
        )
        return Family(name, kind, found[0].metric.description, samples)

    def _stamp(self, series: _Series) -> float | None:
        return series.point.time_unix_nano / 1e9 if self.settings["send_timestamps"] else None

    def _labels(self, series: _Series) -> dict[str, str]:
        found = {label_name(key): as_string(value) for key, value in attributes(series.point.attributes).items()}
        conversion = self.settings["resource_to_telemetry_conversion"]
        if conversion["enabled"]:
            for key, value in series.resource.items():
                if not (conversion["exclude_service_attributes"] and key in _SERVICE):
                    found.setdefault(label_name(key), as_string(value))
        if not self.settings["without_scope_info"]:
            scope = series.scope
            found |= {"otel_scope_name": scope.name, "otel_scope_version": scope.version, "otel_scope_schema_url": ""}
            found |= {f"otel_scope_{label_name(k)}": as_string(v) for k, v in attributes(scope.attributes).items()}
        return {**found, **_job(series.resource), **self.settings["const_labels"]}

    def _target_info(self) -> list[Family]:
        rows: dict[tuple[str, str], dict[str, str]] = {}
        for series in self._series.values():
            job = _job(series.resource)
            extra = {label_name(k): as_string(v) for k, v in series.resource.items() if k not in _SERVICE}
            if job and extra:
                rows.setdefault((job.get("job", ""), job.get("instance", "")), {**extra, **job})
        samples = tuple(Sample("", labels, 1.0) for _, labels in sorted(rows.items()))
        return [Family("target_info", "gauge", "Target metadata", samples)] if samples else []


def kind_of(metric: Any) -> str:
    """The Prometheus type of an OTLP metric."""
    kind = str(metric.WhichOneof("data"))
    if kind == "sum":
        return "counter" if metric.sum.is_monotonic else "gauge"
    return {"histogram": "histogram", "exponential_histogram": "histogram", "summary": "summary"}.get(kind, "gauge")


def _job(resource: Mapping[str, Any]) -> dict[str, str]:
    job = {}
    if "service.name" in resource:
        name = as_string(resource["service.name"])
        job["job"] = f"{resource['service.namespace']}/{name}" if "service.namespace" in resource else name
    if "service.instance.id" in resource:
        job["instance"] = as_string(resource["service.instance.id"])
    return job


def _accumulate(known: Any, point: Any) -> Any:
    total = type(point)()
    total.CopyFrom(point)
    total.start_time_unix_nano = known.start_time_unix_nano
    if hasattr(point, "bucket_counts"):
        total.count, total.sum = known.count + point.count, known.sum + point.sum
        if list(known.explicit_bounds) == list(point.explicit_bounds):
            total.bucket_counts[:] = [a + b for a, b in zip(known.bucket_counts, point.bucket_counts, strict=True)]
    elif point.WhichOneof("value") == "as_int":
        total.as_int = known.as_int + point.as_int
    else:
        total.as_double = known.as_double + point.as_double
    return total


def _exemplars(point: Any) -> Iterator[Exemplar]:
    for found in point.exemplars:
        labels = {}
        if found.trace_id:
            labels["trace_id"] = found.trace_id.hex()
        if found.span_id:
            labels["span_id"] = found.span_id.hex()
        yield Exemplar(
            labels, float(getattr(found, found.WhichOneof("value") or "as_double")), found.time_unix_nano / 1e9
        )


def _number(labels: dict[str, str], series: _Series, stamp: float | None) -> Iterator[Sample]:
    point = series.point
    exemplar = next(reversed(list(_exemplars(point))), None) if kind_of(series.metric) == "counter" else None
    yield Sample("", labels, float(getattr(point, point.WhichOneof("value") or "as_double")), exemplar, timestamp=stamp)


def _histogram(labels: dict[str, str], series: _Series, stamp: float | None) -> Iterator[Sample]:
    point = series.point
    bounds = list(getattr(point, "explicit_bounds", ()))
    by_bucket = {bisect_left(bounds, exemplar.value): exemplar for exemplar in _exemplars(point)}
    running = 0
    for index, bound in enumerate(bounds):
        running += point.bucket_counts[index]
        yield Sample(
            "_bucket", {**labels, "le": str(bound)}, running, by_bucket.get(index), integer=True, timestamp=stamp
        )
    last = by_bucket.get(len(bounds))
    yield Sample("_bucket", {**labels, "le": "+Inf"}, point.count, last, integer=True, timestamp=stamp)
    yield Sample("_sum", labels, point.sum, timestamp=stamp)
    yield Sample("_count", labels, point.count, integer=True, timestamp=stamp)


def _summary(labels: dict[str, str], series: _Series, stamp: float | None) -> Iterator[Sample]:
    for found in series.point.quantile_values:
        yield Sample("", {**labels, "quantile": str(found.quantile)}, found.value, timestamp=stamp)
    yield Sample("_sum", labels, series.point.sum, timestamp=stamp)
    yield Sample("_count", labels, series.point.count, integer=True, timestamp=stamp)
