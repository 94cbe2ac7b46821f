"""The Collector's own metrics: names and labels as answered on port 8888. No sockets.

Series appear on first use, as the real ones do. Help texts are not the real ones: nobody reads them but people.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from . import COMMAND, VERSION
from .distribution import Distribution
from .exposition import Family, Sample, histogram_samples

Labels = tuple[tuple[str, str], ...]

_ITEMS = ("spans", "metric_points", "log_records")
_PER_SIGNAL = {
    "receiver": ("accepted", "refused", "failed"),
    "exporter": ("sent", "send_failed", "enqueue_failed"),
    "processor_memory_limiter": ("accepted", "refused"),
}
COUNTERS = frozenset(
    f"{part}_{word}_{items}" for part, words in _PER_SIGNAL.items() for word in words for items in _ITEMS
) | {
    "connector_servicegraph_dropped_spans",
    "connector_servicegraph_expired_edges",
    "connector_servicegraph_total_edges",
    "process_cpu_seconds",
    "process_uptime",
    "processor_batch_batch_size_trigger_send",
    "processor_batch_timeout_trigger_send",
    "processor_filter_datapoints_filtered",
    "processor_filter_logs_filtered",
    "processor_filter_spans_filtered",
    "processor_incoming_items",
    "processor_outgoing_items",
}
_SIZES = (10, 25, 50, 75, 100, 250, 500, 750, *range(1000, 10_001, 1000), 20_000, 30_000, 50_000, 100_000)
_BYTES = tuple(2**power for power in range(7, 25))
_DURATIONS = (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000)
HISTOGRAMS: Mapping[str, tuple[int, ...]] = {
    "exporter_enqueue_size": _SIZES,
    "exporter_enqueue_size_bytes": _BYTES,
    "processor_batch_batch_send_size": _SIZES,
    "processor_batch_batch_send_size_bytes": _BYTES,
    "processor_internal_duration": _DURATIONS,
}
_DETAILED = {
    "exporter_enqueue_size", "exporter_enqueue_size_bytes", "exporter_in_flight_requests",
    "processor_batch_batch_send_size_bytes",
}  # fmt: skip


@dataclass
class Telemetry:
    """The registry. `detailed` is the metrics level; `clock` a monotonic one, in seconds."""

    detailed: bool = True
    suffixes: bool = False
    clock: Callable[[], float] = time.monotonic
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    _counters: dict[str, dict[Labels, float]] = field(default_factory=dict)
    _gauges: list[tuple[str, Labels, Callable[[], float]]] = field(default_factory=list)
    _histograms: dict[str, dict[Labels, Distribution]] = field(default_factory=dict)

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
        if self.detailed or name not in _DETAILED:
            series = self._histograms.setdefault(name, {})
            series.setdefault(tuple(sorted(labels.items())), Distribution(HISTOGRAMS[name])).record(value)

    def families(self) -> Iterator[Family]:
        """Everything, ready to be rendered."""
        process = {"process_uptime": self.clock() - self._started, "process_cpu_seconds": time.process_time()}
        own: dict[str, dict[Labels, float]] = {name: {(): value} for name, value in process.items()}
        for name, series in {**self._counters, **own}.items():
            yield self._family(f"{name}{'_total' if self.suffixes else ''}", "counter", series)
        gauges: dict[str, dict[Labels, float]] = {"process_memory_rss": {(): resident_bytes()}}
        for name, labels, read in self._gauges:
            values = gauges.setdefault(name, {})
            values[labels] = values.get(labels, 0) + read()
        for name, series in gauges.items():
            yield self._family(name, "gauge", series)
        for name, found in self._histograms.items():
            rows = (sample for key, item in sorted(found.items()) for sample in histogram_samples(dict(key), item))
            yield Family(f"otelcol_{name}", "histogram", "", tuple(rows))
        target = {"service_instance_id": self.instance_id, "service_name": COMMAND, "service_version": VERSION}
        yield Family("target_info", "gauge", "Target metadata", (Sample("", target, 1),))

    def _family(self, name: str, kind: str, series: Mapping[Labels, float]) -> Family:
        samples = tuple(Sample("", dict(key), value) for key, value in sorted(series.items()))
        return Family(f"otelcol_{name}", kind, "", samples)


def resident_bytes() -> int:
    """This process's resident set size."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a proc file, read often
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
