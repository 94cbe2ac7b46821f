from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator

import pytest

from harness.keeper.leases import Leases
from harness.model import Port
from harness.probes.http import ask
from harness.probes.otlp_sink import OtlpSink
from harness.services.otlp_client import export_http, make_span, trace_request


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    leases = Leases()
    with OtlpSink(leases.lease(Port("sink", 0, "http"))) as made:
        yield made
    leases.release()


def test_what_was_taken_is_kept_in_order(sink: OtlpSink) -> None:
    for name in ("a", "b"):
        assert export_http(sink.endpoint, trace_request({}, [make_span(name)])).status == 200
    assert [span.name for span in sink.items()] == ["a", "b"]
    assert sink.items("/v1/logs") == []


def test_answers_are_used_up_and_what_was_refused_is_not_taken(sink: OtlpSink) -> None:
    sink.answers.extend([503, (429, {"Retry-After": "7"})])
    answers = [export_http(sink.endpoint, trace_request({}, [make_span()])) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 429, 200]
    assert answers[1].headers["retry-after"] == "7"
    assert [one.status for one in sink.requests] == [503, 429, 200]
    assert len(sink.items()) == 1


def test_a_compressed_body_is_read(sink: OtlpSink) -> None:
    body = gzip.compress(trace_request({}, [make_span("small")]).SerializeToString())
    assert ask(sink.endpoint, "/v1/traces", "POST", body, {"Content-Encoding": "gzip"}).status == 200
    assert [span.name for span in sink.items()] == ["small"]


def test_held_requests_wait_and_a_closed_sink_refuses(sink: OtlpSink) -> None:
    sink.hold.set()
    pushed = threading.Thread(target=export_http, args=(sink.endpoint, trace_request({}, [make_span()])))
    pushed.start()
    pushed.join(0.2)
    assert pushed.is_alive()
    sink.hold.clear()
    pushed.join(5)
    assert not pushed.is_alive()

    sink.close()
    with pytest.raises(OSError, match="refused"):
        export_http(sink.endpoint, trace_request({}, [make_span()]))
    sink.open()
    assert export_http(sink.endpoint, trace_request({}, [make_span()])).status == 200
