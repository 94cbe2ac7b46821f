"""Traces and metrics through the OpenTelemetry SDK, logs as JSON lines on standard output."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, format_span_id, format_trace_id, get_current_span

from .settings import Settings

EXPORT_MILLISECONDS = 500
QUEUE = 100_000
"""Spans that wait for the Collector before any is dropped: far more than a test makes."""


class Telemetry:
    """One tracer, one meter, one log. Attributes of the resource come from OTEL_RESOURCE_ATTRIBUTES as well."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        identity = {"service.name": settings.name, "service.instance.id": settings.instance}
        resource = Resource.create(identity)
        session = requests.Session()
        session.trust_env = False
        spans = OTLPSpanExporter(f"{settings.otlp_url}/v1/traces", timeout=5, session=session)
        metrics = OTLPMetricExporter(f"{settings.otlp_url}/v1/metrics", timeout=5, session=session)
        self._tracers = TracerProvider(resource=resource)
        self._tracers.add_span_processor(BatchSpanProcessor(spans, QUEUE, 100, 512))
        self.page_reader = InMemoryMetricReader()
        pushed = PeriodicExportingMetricReader(metrics, EXPORT_MILLISECONDS)
        self._meters = MeterProvider([self.page_reader, pushed], resource=resource)
        self.tracer = self._tracers.get_tracer("catalogue")
        meter = self.meter = self._meters.get_meter("catalogue")
        self.duration = meter.create_histogram("http.server.request.duration", "s")
        self.cache_requests = meter.create_counter("cache.requests")
        self.config_reads = meter.create_counter("config.reads")
        self.conflicts = meter.create_counter("store.conflicts")

    @contextmanager
    def client_span(self, peer: str, name: str, **attributes: str) -> Iterator[Span]:
        """A span for one call of a dependency, marked with its name; an exception makes it an error."""
        about = {"peer.service": peer, **attributes}
        with self.tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=about) as span:
            yield span

    def gauge(self, name: str, values: Callable[[], Mapping[str, float]], label: str) -> None:
        """A gauge with one series per key of what `values` gives."""

        def observe(options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, {label: key}) for key, value in values().items()]

        self.meter.create_observable_gauge(name, [observe])

    def log(self, event: str, **fields: object) -> None:
        """One line, with the ids of the span that is current."""
        line: dict[str, object] = {"time": time.time(), "event": event, "service": self._settings.name}
        line["instance"] = self._settings.instance
        context = get_current_span().get_span_context()
        if context.is_valid:
            line |= {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}
        with self._lock:
            sys.stdout.write(json.dumps(line | fields) + "\n")
            sys.stdout.flush()

    def close(self) -> None:
        """Export what is left."""
        self._tracers.shutdown()
        self._meters.shutdown()


def mark_failed(span: Span, why: str) -> None:
    """Make a span an error."""
    span.set_status(StatusCode.ERROR, why)
