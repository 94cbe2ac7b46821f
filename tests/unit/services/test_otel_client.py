"""The SDK's losses are counted, those of a full queue too, which no exporter ever sees."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from harness.services.otel_client import CountingProcessor, CountingSpanExporter, Tally


class Stuck(SpanExporter):
    """Exports nothing until it is let go."""

    def __init__(self) -> None:
        self.reached, self.free = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.reached.set()
        self.free.wait(10)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.free.set()


def test_a_span_dropped_by_a_full_queue_is_counted_as_ended_and_never_as_sent() -> None:
    stuck, tally, tracers = Stuck(), Tally(), TracerProvider()
    tracers.add_span_processor(CountingProcessor(CountingSpanExporter(stuck, tally), queue=2))
    tracer = tracers.get_tracer("t")
    tracer.start_span("taken").end()
    assert stuck.reached.wait(10)
    for _ in range(5):
        tracer.start_span("more").end()
    stuck.free.set()
    tracers.force_flush()
    tracers.shutdown()
    assert (tally.ended, tally.lost) == (6, 0)
    assert tally.sent == 3
