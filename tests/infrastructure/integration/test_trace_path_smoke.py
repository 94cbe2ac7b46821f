"""The path of a trace on a live environment: what the Collector takes is found in Tempo."""

from __future__ import annotations

import secrets

import pytest

from harness.probes.poll import Deadline, poll
from harness.pytest_plugin.smoke import SmokeCorner
from harness.smoke.base import granted
from harness.smoke.tempo import arrived, marked_span

WITHIN = 20.0
"""Seconds from the Collector's answer to the trace in Tempo: batches and queues lie between."""

pytestmark = [pytest.mark.smoke, pytest.mark.uses("otel_collector", "tempo")]


def test_a_span_that_the_collector_took_arrives_in_tempo(smoke_corner: SmokeCorner) -> None:
    """The pipeline `traces`, from its receiver to the backend that the target file names."""
    collector, tempo, trace = smoke_corner.write("otel_collector"), smoke_corner.read("tempo"), secrets.token_hex(16)
    if "otlp_http" not in collector.endpoints:
        pytest.skip("not verified: the target file has no endpoints.otlp_http of the Collector")
    body = marked_span(trace, smoke_corner.identity)
    assert granted(collector, "/v1/traces", "POST", port="otlp_http", body=body).status == 200
    poll(lambda: arrived(tempo, trace, smoke_corner.identity), Deadline.after(WITHIN), f"trace {trace}")
