"""An OpenTelemetry SDK whose losses are counted, and sessions for the Collector's own ports.

The SDK's `force_flush` answers True even when every export failed, and a partial success counts as success. Here
the exporter is wrapped, every outcome counted, and `flush` raises when anything was lost.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grpc import ChannelCredentials, ssl_channel_credentials
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

from harness.errors import ClientError
from harness.ports import Handle
from harness.services.http_session import IsolatedSession, ServiceSession

EXPORT_TIMEOUT = 3
"""Seconds for one export, retries included. The SDK reads it as whole seconds."""
DIRECT = (("grpc.enable_http_proxy", 0),)
"""gRPC follows `grpc_proxy` and `http_proxy` of the environment unless it is told not to."""


@dataclass
class Tally:
    """How many items there were to hand over (spans only), were handed over, and were lost."""

    ended: int = 0
    sent: int = 0
    lost: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, items: int, ok: bool) -> None:
        """Note the outcome of one export."""
        with self.lock:
            if ok:
                self.sent += items
            else:
                self.lost += items


class CountingProcessor(BatchSpanProcessor):
    """Counts the spans that end: those that a full queue drops never reach an exporter."""

    def __init__(self, exporter: CountingSpanExporter, queue: int = 100_000) -> None:
        batch = min(queue, 512)
        super().__init__(exporter, max_queue_size=queue, max_export_batch_size=batch, schedule_delay_millis=50)
        self._tally = exporter.tally

    def on_end(self, span: ReadableSpan) -> None:
        """Count what will be exported, as the SDK decides it: by the sampled flag."""
        if span.context and span.context.trace_flags.sampled:
            with self._tally.lock:
                self._tally.ended += 1
        super().on_end(span)


class CountingSpanExporter(SpanExporter):
    """Counts what the wrapped exporter did."""

    def __init__(self, inner: SpanExporter, tally: Tally) -> None:
        self.inner, self.tally = inner, tally

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, and count the outcome."""
        result = self.inner.export(spans)
        self.tally.count(len(spans), result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Shut the wrapped exporter down."""
        self.inner.shutdown()


class CountingMetricExporter(MetricExporter):
    """Counts how many exports of the wrapped exporter succeeded."""

    def __init__(self, inner: OTLPMetricExporter, tally: Tally) -> None:
        super().__init__(inner._preferred_temporality, inner._preferred_aggregation)
        self.inner, self.tally = inner, tally

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **more: Any) -> MetricExportResult:
        """Export, and count the outcome."""
        result = self.inner.export(metrics_data, timeout_millis=timeout_millis, **more)
        self.tally.count(1, result is MetricExportResult.SUCCESS)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the wrapped exporter."""
        return bool(self.inner.force_flush(timeout_millis))

    def shutdown(self, timeout_millis: float = 30_000, **more: Any) -> None:
        """Shut the wrapped exporter down."""
        self.inner.shutdown(timeout_millis=timeout_millis, **more)


class Sdk:
    """A tracer and a meter of one service, exporting to one Collector. Use it as a context manager."""

    def __init__(
        self,
        handle: Handle,
        service: str,
        attributes: Mapping[str, str],
        protocol: str = "grpc",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        login = {name.lower(): value for name, value in (headers or {}).items()}  # gRPC's names are lower case
        self.spans, self.metrics = Tally(), Tally()
        self._closed = False
        resource = Resource.create({"service.name": service, **attributes})
        self._tracers = TracerProvider(resource=resource)
        self._tracers.add_span_processor(
            CountingProcessor(CountingSpanExporter(_span_exporter(handle, protocol, login), self.spans))
        )
        exporter = OTLPMetricExporter(
            _grpc(handle),
            credentials=_channel_credentials(handle),
            headers=login,
            timeout=EXPORT_TIMEOUT,
            channel_options=DIRECT,  # type: ignore[arg-type]  # gRPC takes numbers too
        )
        reader = PeriodicExportingMetricReader(CountingMetricExporter(exporter, self.metrics), 3_600_000)
        self._meters = MeterProvider([reader], resource=resource)
        self.tracer: Tracer = self._tracers.get_tracer("harness")
        self.meter: Meter = self._meters.get_meter("harness")

    def flush_spans(self) -> int:
        """Hand every finished span over and return how many were handed over so far. Raises ClientError for a loss."""
        ended = self.spans.ended
        self._tracers.force_flush()
        lost = max(self.spans.lost, ended - self.spans.sent)
        if lost:
            raise ClientError(f"{lost} spans were lost on the way to the Collector, {self.spans.sent} arrived")
        return self.spans.sent

    def flush_metrics(self) -> int:
        """Export all metrics now and return the number of exports so far. Raises ClientError when one failed."""
        self._meters.force_flush(EXPORT_TIMEOUT * 1000)
        if self.metrics.lost:
            raise ClientError(f"{self.metrics.lost} metric exports failed on the way to the Collector")
        return self.metrics.sent

    def close(self) -> None:
        """Flush what is left and end the background threads. Harmless when done before."""
        if self._closed:
            return
        self._closed = True
        self._tracers.shutdown()
        self._meters.shutdown(EXPORT_TIMEOUT * 1000)

    def __enter__(self) -> Sdk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _grpc(handle: Handle) -> str:
    endpoint = handle.endpoint("otlp_grpc")
    return f"{'https' if endpoint.encrypted else 'http'}://{endpoint.address}"


def _channel_credentials(handle: Handle) -> ChannelCredentials | None:
    endpoint = handle.endpoint("otlp_grpc")
    if not endpoint.encrypted:
        return None
    return ssl_channel_credentials(Path(endpoint.authority).read_bytes() if endpoint.authority else None)


def _span_exporter(handle: Handle, protocol: str, login: dict[str, str]) -> SpanExporter:
    if protocol == "grpc":
        return GrpcSpanExporter(
            _grpc(handle),
            credentials=_channel_credentials(handle),
            headers=login,
            timeout=EXPORT_TIMEOUT,
            channel_options=DIRECT,  # type: ignore[arg-type]  # gRPC takes numbers too
        )
    url = f"{handle.endpoint('otlp_http').url}/v1/traces"
    session = IsolatedSession(EXPORT_TIMEOUT, handle.endpoint("otlp_http").authority)
    return HttpSpanExporter(url, timeout=EXPORT_TIMEOUT, headers=login, session=session)


class CollectorClient:
    """What a test needs of the Collector: sessions for its HTTP ports, and SDKs that export to it."""

    def __init__(self, handle: Handle, headers: Mapping[str, str] | None = None) -> None:
        self.handle, self._headers = handle, headers
        self.otlp = ServiceSession(handle.endpoint("otlp_http"))
        self.health = ServiceSession(handle.endpoint("health"))
        self.metrics = ServiceSession(handle.endpoint("metrics"))
        self.prometheus = ServiceSession(handle.endpoint("prometheus"))
        self.otlp.headers.update(headers or {})
        self._sdks: list[Sdk] = []

    def sdk(self, service: str, attributes: Mapping[str, str] | None = None, protocol: str = "grpc") -> Sdk:
        """A tracer and a meter for one service; `protocol` is `grpc` or `http`. Closed with this client."""
        made = Sdk(self.handle, service, attributes or {}, protocol, self._headers)
        self._sdks.append(made)
        return made

    def close(self) -> None:
        """Close every session and SDK."""
        for sdk in self._sdks:
            sdk.close()
        for session in (self.otlp, self.health, self.metrics, self.prometheus):
            session.close()
