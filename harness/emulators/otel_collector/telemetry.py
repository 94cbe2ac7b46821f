"""The Collector's own metrics: names, labels and help texts as answered on port 8888. No sockets.

Series appear on first use, as the real ones do; `level` follows `service::telemetry::metrics::level`.
"""

from __future__ import annotations

import os
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import COMMAND, VERSION
from .exposition import Family, Sample

Labels = tuple[tuple[str, str], ...]

_SIZES = (10, 25, 50, 75, 100, 250, 500, 750, *range(1000, 10_001, 1000), 20_000, 30_000, 50_000, 100_000)
_BYTES = tuple(2**power for power in range(7, 25))
_DURATIONS = (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000)
_RECEIVER = {
    "accepted": "Number of {} successfully pushed into the pipeline. [Alpha]",
    "refused": "Number of {} that could not be pushed into the pipeline. [Alpha]",
    "failed": "The number of {} that failed to be processed by the receiver due to internal errors. [Alpha]",
}
_EXPORTER = {
    "sent": "Number of {0} successfully sent to destination. [Alpha]",
    "send_failed": "Number of {1} in failed attempts to send to destination. At detailed telemetry level, includes "
    "attributes: error.type (semantic convention), error.permanent. [Alpha]",
    "enqueue_failed": "Number of {1} failed to be added to the sending queue. [Alpha]",
}
_LIMITER = {
    "accepted": "Number of {} successfully pushed into the next component in the pipeline. [Alpha]",
    "refused": "Number of {} that were rejected by the next component in the pipeline. [Alpha]",
}


def _per_signal() -> Iterator[tuple[str, str]]:
    for items, plural in (("spans", "spans"), ("metric_points", "metric points"), ("log_records", "log records")):
        singular = plural if items != "log_records" else "log record"
        for word, text in _RECEIVER.items():
            yield f"receiver_{word}_{items}", text.format(plural)
        for word, text in _EXPORTER.items():
            yield f"exporter_{word}_{items}", text.format(singular, plural)
        for word, text in _LIMITER.items():
            yield f"processor_memory_limiter_{word}_{items}", text.format(plural)


COUNTERS = dict(_per_signal()) | {
    "connector_servicegraph_dropped_spans": "Number of spans dropped when trying to add edges",
    "connector_servicegraph_expired_edges": "Number of edges that expired before finding its matching span",
    "connector_servicegraph_total_edges": "Total number of unique edges",
    "process_cpu_seconds": "Total CPU user and system time in seconds [Alpha]",
    "process_uptime": "Uptime of the process [Alpha]",
    "processor_batch_batch_size_trigger_send": "Number of times the batch was sent due to a size trigger [Development]",
    "processor_batch_timeout_trigger_send": "Number of times the batch was sent due to a timeout trigger [Development]",
    "processor_filter_datapoints_filtered": "Number of metric data points dropped by the filter processor",
    "processor_filter_logs_filtered": "Number of logs dropped by the filter processor",
    "processor_filter_spans_filtered": "Number of spans dropped by the filter processor",
    "processor_incoming_items": "Number of items passed to the processor. [Alpha]",
    "processor_outgoing_items": "Number of items emitted from the processor. [Alpha]",
}
GAUGES = {
    "exporter_in_flight_requests": "Number of export requests currently in-flight (including retry backoff)."
    " [Development]",
    "exporter_queue_capacity": "Fixed capacity of the retry queue (in batches). [Alpha]",
    "exporter_queue_size": "Current size of the retry queue (in batches). [Alpha]",
    "process_memory_rss": "Total physical memory (resident set size) [Alpha]",
    "processor_batch_metadata_cardinality": "Number of distinct metadata value combinations being processed"
    " [Development]",
}
HISTOGRAMS = {
    "exporter_enqueue_size": (
        _SIZES, "Number of units in the request added to the sending queue. Only available on detailed level."
        " [Development]",
    ),
    "exporter_enqueue_size_bytes": (
        _BYTES, "Number of bytes in the request added to the sending queue. Only available on detailed level."
        " [Development]",
    ),
    "processor_batch_batch_send_size": (_SIZES, "Number of units in the batch [Development]"),
    "processor_batch_batch_send_size_bytes": (
        _BYTES, "Number of bytes in batch that was sent. Only available on detailed level. [Development]",
    ),
    "processor_internal_duration": (
        _DURATIONS, "Duration of time taken to process a batch of telemetry data through the processor. [Alpha]",
    ),
}  # fmt: skip
_DETAILED = frozenset(
    {"exporter_enqueue_size", "exporter_enqueue_size_bytes", "exporter_in_flight_requests"}
    | {"processor_batch_batch_send_size_bytes"}
)


@dataclass
class _Distribution:
    bounds: tuple[int, ...]
    counts: list[int]
    total: float = 0.0

    def record(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def samples(self, labels: dict[str, str]) -> Iterator[Sample]:
        running = 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            running += count
            yield Sample("_bucket", {**labels, "le": bound}, running, integer=True)
        yield Sample("_sum", labels, self.total)
        yield Sample("_count", labels, running, integer=True)


@dataclass
class Telemetry:
    """The registry. `detailed` is the metrics level; `clock` a monotonic one, in seconds."""

    detailed: bool = True
    suffixes: bool = False
    clock: Callable[[], float] = time.monotonic
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    _counters: dict[str, dict[Labels, float]] = field(default_factory=dict)
    _gauges: list[tuple[str, Labels, Callable[[], float]]] = field(default_factory=list)
    _histograms: dict[str, dict[Labels, _Distribution]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def add(self, name: str, value: float, **labels: str) -> None:
        """Grow a counter; a zero makes its series visible."""
        if name not in COUNTERS:
            raise KeyError(f"undocumented counter {name!r}")
        series = self._counters.setdefault(name, {})
        key = tuple(sorted(labels.items()))
        series[key] = series.get(key, 0) + value

    def value(self, name: str, **labels: str) -> float:
        """A counter's value summed over every series that has these labels."""
        wanted = set(labels.items())
        return sum(value for key, value in self._counters.get(name, {}).items() if wanted <= set(key))

    def gauge(self, name: str, read: Callable[[], float], **labels: str) -> None:
        """Register a value that is read whenever somebody looks; equal series are summed."""
        if self.detailed or name not in _DETAILED:
            self._gauges.append((name, tuple(sorted(labels.items())), read))

    def record(self, name: str, value: float, **labels: str) -> None:
        """Put one observation into a histogram."""
        if name in _DETAILED and not self.detailed:
            return
        bounds = HISTOGRAMS[name][0]
        fresh = _Distribution(bounds, [0] * (len(bounds) + 1))
        self._histograms.setdefault(name, {}).setdefault(tuple(sorted(labels.items())), fresh).record(value)

    def families(self) -> Iterator[Family]:
        """Everything, ready to be rendered."""
        process = {"process_uptime": self.clock() - self._started, "process_cpu_seconds": time.process_time()}
        own: dict[str, dict[Labels, float]] = {name: {(): value} for name, value in process.items()}
        counters = {**self._counters, **own}
        for name, series in counters.items():
            yield self._family(name, "counter", COUNTERS[name], series)
        gauges: dict[str, dict[Labels, float]] = {"process_memory_rss": {(): resident_bytes()}}
        for name, labels, read in self._gauges:
            values = gauges.setdefault(name, {})
            values[labels] = values.get(labels, 0) + read()
        for name, series in gauges.items():
            yield self._family(name, "gauge", GAUGES[name], series)
        for name, found in self._histograms.items():
            samples = (sample for key, item in sorted(found.items()) for sample in item.samples(dict(key)))
            yield Family(f"otelcol_{name}", "histogram", HISTOGRAMS[name][1], tuple(samples))
        target = {"service_instance_id": self.instance_id, "service_name": COMMAND, "service_version": VERSION}
        yield Family("target_info", "gauge", "Target metadata", (Sample("", target, 1),))

    def _family(self, name: str, kind: str, text: str, series: dict[Labels, float]) -> Family:
        suffix = "_total" if self.suffixes and kind == "counter" else ""
        samples = tuple(Sample("", dict(key), value) for key, value in sorted(series.items()))
        return Family(f"otelcol_{name}{suffix}", kind, text, samples)


def resident_bytes() -> int:
    """This process's resident set size."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a proc file, read often
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
