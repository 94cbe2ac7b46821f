"""Tempo on a live environment: what may be asked and written there without harm."""

from __future__ import annotations

import secrets
import time

import pytest

from harness.probes.poll import Deadline, poll
from harness.pytest_plugin.smoke import SmokeCorner
from harness.smoke.base import granted
from harness.smoke.tempo import SPOKEN_FOR, arrived, marked_span

WITHIN = 15.0
"""Seconds from a span to its being found: live environments batch."""

pytestmark = pytest.mark.smoke


def test_recent_traces_can_be_searched(smoke_corner: SmokeCorner) -> None:
    """`/api/search` over the newest minutes: the tenant may read, and every part that a search needs answers."""
    now = int(time.time())
    answer = granted(smoke_corner.read("tempo"), f"/api/search?limit=1&start={now - SPOKEN_FOR}&end={now}")
    assert (answer.status, "traces" in answer.json()) == (200, True)


def test_a_span_is_found_by_its_trace_id(smoke_corner: SmokeCorner) -> None:
    """OTLP over HTTP in, `/api/v2/traces/{id}` out. It stays until retention takes it: Tempo cannot delete."""
    tempo, trace = smoke_corner.write("tempo"), secrets.token_hex(16)
    if "otlp_http" not in tempo.endpoints:
        pytest.skip("not verified: the target file has no endpoints.otlp_http of tempo")
    sent = granted(tempo, "/v1/traces", "POST", port="otlp_http", body=marked_span(trace, smoke_corner.identity))
    assert sent.status == 200, sent.text
    poll(lambda: arrived(tempo, trace, smoke_corner.identity), Deadline.after(WITHIN), f"trace {trace}")
