"""The Collector on a live environment: what may be asked and written there without harm."""

from __future__ import annotations

import secrets

import pytest

from harness.probes.exposition import total
from harness.pytest_plugin.smoke import SmokeCorner
from harness.smoke.base import granted
from harness.smoke.tempo import marked_span

pytestmark = pytest.mark.smoke


def test_none_of_its_exporters_queues_is_full(smoke_corner: SmokeCorner) -> None:
    """`otelcol_exporter_queue_size` against `_capacity`: a full queue drops. Source: exporterhelper, README."""
    collector = smoke_corner.read("otel_collector")
    if "metrics" not in collector.endpoints:
        pytest.skip("not verified: the target file has no endpoints.metrics of the Collector")
    text = granted(collector, "/metrics", port="metrics").text
    size, capacity = total(text, "otelcol_exporter_queue_size"), total(text, "otelcol_exporter_queue_capacity")
    assert capacity == 0 or size < capacity, f"{size:g} of {capacity:g} places are taken"


def test_a_span_is_taken_whole(smoke_corner: SmokeCorner) -> None:
    """OTLP over HTTP: 200 without `rejectedSpans`. That it arrives is told by the backend it is sent on to."""
    collector = smoke_corner.write("otel_collector")
    if "otlp_http" not in collector.endpoints:
        pytest.skip("not verified: the target file has no endpoints.otlp_http of the Collector")
    body = marked_span(secrets.token_hex(16), smoke_corner.identity)
    answer = granted(collector, "/v1/traces", "POST", port="otlp_http", body=body)
    assert (answer.status, answer.json().get("partialSuccess") or {}) == (200, {})
