"""TraceQL metrics: spans of matching traces to time series.

Buckets are (t - step, t], aligned to the step; durations are seconds; histograms use powers of two of nanoseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from harness.emulators.tempo.results import any_value
from harness.emulators.tempo.spans import Span, TraceRow, Value
from harness.emulators.tempo.traceql import syntax
from harness.emulators.tempo.traceql.evaluate import Evaluator
from harness.emulators.tempo.traceql.fetch import intrinsic_values, values

COUNTING = frozenset({"rate", "count_over_time"})
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The buckets of a request in Unix nanoseconds: `first`, `first + step`, ... up to and including `last`."""

    first: int
    last: int
    step: int

    @classmethod
    def aligned(cls, start: int, end: int, step: int) -> Window:
        """A range request: start rounded down and end rounded up to the step."""
        return cls(start - start % step, end + -end % step, step)

    @classmethod
    def instant(cls, start: int, end: int) -> Window:
        """One bucket that covers everything."""
        return cls(end, end, end - start)

    def stamps(self) -> range:
        """All bucket times."""
        return range(self.first, self.last + 1, self.step)

    def bucket(self, at: int) -> int | None:
        """The bucket a moment belongs to."""
        stamp = self.first + -((self.first - at) // self.step) * self.step
        return stamp if self.first <= stamp <= self.last else None


@dataclass(slots=True)
class Series:
    """One series while it is being built; `points` are numbers by bucket, `bins` histograms by bucket."""

    labels: list[tuple[str, dict[str, Any]]]
    points: dict[int, float] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    bins: dict[int, dict[float, int]] = field(default_factory=dict)
    exemplars: list[tuple[int, str, float | None, Span]] = field(default_factory=list)


def first_value(span: Span, attribute: syntax.Attribute) -> Value:
    """The value of an attribute on a span, None when it has none."""
    found = intrinsic_values(span, attribute.name) if attribute.intrinsic else values(span, attribute)
    return next(iter(found), None)


def _number(span: Span, attribute: syntax.Attribute) -> float | None:
    value = first_value(span, attribute)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value / 1e9 if attribute.type == "duration" else float(value)


def _sum(known: float, new: float) -> float:
    # A span without the attribute counts as NaN and, when last, blanks the bucket: observed on 3.0.3.
    return new if math.isnan(known) else known + new


FOLDS: dict[str, Callable[[float, float], float]] = {
    "min_over_time": lambda known, new: new if math.isnan(known) or new < known else known,
    "max_over_time": lambda known, new: new if math.isnan(known) or new > known else known,
    "sum_over_time": _sum,
}


class Aggregation:
    """Runs one metrics query. `rate_step` is the divisor of rate() in seconds."""

    def __init__(self, evaluator: Evaluator, window: Window, exemplars: int, rate_step: float) -> None:
        self._metrics = evaluator.query.metrics or syntax.Metrics("rate")
        self._evaluator = evaluator
        self._window = window
        self._exemplars = 0 if self._metrics.then else exemplars
        self._rate_step = rate_step
        self._series: dict[Labels, Series] = {}
        self._seen: set[bytes] = set()

    def add(self, row: TraceRow, start: int, end: int) -> None:
        """Count the spans of a trace that match and start within (start, end]."""
        for one in self._evaluator.run(row):
            for span in one.spans:
                bucket = self._window.bucket(span.start)
                if bucket is not None and start < span.start <= end:
                    self._observe(span, bucket)

    def _observe(self, span: Span, bucket: int) -> None:
        metrics = self._metrics
        number = _number(span, metrics.attribute) if metrics.attribute else None
        if metrics.op in COUNTING:
            series = self._labelled(span)
            series.points[bucket] = series.points.get(bucket, 0) + 1
        elif metrics.op in {"quantile_over_time", "histogram_over_time"}:
            if number is None or number <= 0:
                return
            nanos = number * 1e9 if metrics.attribute and metrics.attribute.type == "duration" else number
            edge = float(2 ** math.ceil(math.log2(nanos)))
            series = self._labelled(span)
            bins = series.bins.setdefault(bucket, {})
            bins[edge] = bins.get(edge, 0) + 1
        elif metrics.op == "avg_over_time":
            if number is None:
                return
            series = self._labelled(span)
            series.counts[bucket] = series.counts.get(bucket, 0) + 1
            series.points[bucket] = series.points.get(bucket, 0.0) + number
        else:
            series = self._labelled(span)
            known = series.points.get(bucket, math.nan)
            series.points[bucket] = FOLDS[metrics.op](known, math.nan if number is None else number)
        self._example(series, span, number)

    def _labelled(self, span: Span) -> Series:
        labels = [(str(name), any_value(first_value(span, name), name.type)) for name in self._metrics.by]
        return self._series.setdefault(_key(labels), Series(labels))

    def _example(self, series: Series, span: Span, number: float | None) -> None:
        # One exemplar per trace; which span of it becomes one is up to chance in Tempo.
        if len(self._seen) < self._exemplars and span.trace.trace_id not in self._seen:
            self._seen.add(span.trace.trace_id)
            bucket = self._window.bucket(span.start) or 0
            series.exemplars.append((bucket, span.trace.trace_id.hex(), number, span))

    # -- results

    def results(self) -> list[dict[str, Any]]:
        """The series in Tempo's JSON form, sorted by label."""
        if not self._series and self._metrics.op in COUNTING and not self._metrics.by:
            self._series[()] = Series([])
        shown = [final for series in self._series.values() for final in self._finished(series)]
        shown.sort(key=lambda final: _key(final.labels))
        for stage in self._metrics.then:
            shown = _second_stage(stage, shown, self._window)
        return [self._shown(series) for series in shown if series.points]

    def _finished(self, series: Series) -> list[Series]:
        metrics = self._metrics
        if metrics.op == "quantile_over_time":
            return self._split(series, "p", metrics.quantiles, lambda p, bins: quantile(p, bins, self._unit))
        if metrics.op == "histogram_over_time":
            edges = sorted({edge for bins in series.bins.values() for edge in bins})
            return self._split(series, "__bucket", [edge / self._unit for edge in edges],
                               lambda edge, bins: bins.get(edge * self._unit, 0))  # fmt: skip
        if metrics.op in COUNTING:
            divisor = self._rate_step if metrics.op == "rate" else 1
            points = {stamp: series.points.get(stamp, 0) / divisor for stamp in self._window.stamps()}
        else:
            points = {stamp: value / series.counts.get(stamp, 1)
                      for stamp, value in sorted(series.points.items()) if not math.isnan(value)}  # fmt: skip
        labels = series.labels or [("__name__", {"stringValue": metrics.op})]
        return [Series(labels, points, exemplars=series.exemplars)]

    @property
    def _unit(self) -> float:
        attribute = self._metrics.attribute
        return 1e9 if attribute and attribute.type == "duration" else 1.0

    def _split(
        self, series: Series, label: str, parts: Iterable[float], value: Callable[[float, dict[float, int]], float]
    ) -> list[Series]:
        found: list[Series] = []
        for part in parts:
            points = {stamp: value(part, series.bins.get(stamp, {})) for stamp in self._window.stamps()}
            labels = [*series.labels, (label, {"doubleValue": part})]
            found.append(Series(labels, points, exemplars=[] if found else series.exemplars))
        return found

    def _shown(self, series: Series) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "labels": [{"key": key, "value": value} for key, value in series.labels],
            "samples": [
                {"timestampMs": str(stamp // 10**6)} | ({"value": float(value)} if value else {})
                for stamp, value in series.points.items()
            ],
        }
        examples = [self._shown_example(series, *one) for one in series.exemplars]
        return entry | ({"exemplars": examples} if examples else {})

    def _shown_example(
        self, series: Series, bucket: int, trace_id: str, number: float | None, span: Span
    ) -> dict[str, Any]:
        labels = [{"key": "trace:id", "value": {"stringValue": trace_id}}]
        named = (*self._metrics.by, *((self._metrics.attribute,) if self._metrics.attribute else ()))
        labels += [{"key": str(name), "value": any_value(first_value(span, name), name.type)} for name in named]
        value = series.points.get(bucket, 0.0) if number is None or self._metrics.op.startswith("hist") else number
        return {"labels": labels, "value": float(value), "timestampMs": str(span.start // 10**6)}


def _key(labels: list[tuple[str, dict[str, Any]]]) -> Labels:
    return tuple((key, ",".join(f"{kind}={text}" for kind, text in value.items())) for key, value in labels)


def quantile(p: float, bins: dict[float, int], unit: float) -> float:
    """A quantile of a power-of-two histogram, interpolated exponentially inside its bucket."""
    total = sum(bins.values())
    if not total:
        return 0.0
    wanted, seen = max(1, math.ceil(p * total)), 0
    for edge in sorted(bins):
        if seen + bins[edge] >= wanted:
            return float(edge / 2 * 2 ** ((wanted - seen) / bins[edge]) / unit)
        seen += bins[edge]
    return 0.0


def _second_stage(stage: syntax.SecondStage, shown: list[Series], window: Window) -> list[Series]:
    if stage.op in {"topk", "bottomk"}:
        kept: list[Series] = [Series(series.labels) for series in shown]
        sign = -1 if stage.op == "topk" else 1
        for stamp in window.stamps():
            present = [place for place, series in enumerate(shown) if stamp in series.points]
            # Ties go to the first label for topk and to the last for bottomk.
            ranked = sorted(present, key=lambda place: (sign * shown[place].points[stamp], -sign * place))
            for place in ranked[: int(stage.value)]:
                kept[place].points[stamp] = shown[place].points[stamp]
        return kept
    tests: dict[str, Callable[[float, float], bool]] = {
        ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
        "=": lambda a, b: a == b, "!=": lambda a, b: a != b,
    }  # fmt: skip
    return [
        Series(
            series.labels,
            {stamp: value for stamp, value in series.points.items() if tests[stage.op](value, stage.value)},
        )
        for series in shown
    ]
