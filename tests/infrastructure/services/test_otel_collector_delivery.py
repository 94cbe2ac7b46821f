"""Nothing is lost in silence: queue, retry, back pressure, memory limit, stop and kill of a Collector of a test's own.

Documents: opentelemetry-collector "exporterhelper" (queue, retry, persistent queue), "batchprocessor",
"memorylimiterprocessor", "Internal telemetry".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.model import Endpoint
from harness.probes.exposition import total
from harness.probes.http import Answer, expect
from harness.probes.otlp_sink import OtlpSink
from harness.probes.poll import Deadline, NotYet, poll
from harness.runtimes.child import Child
from harness.services.otlp_client import export_http, make_span, trace_request

DELIVERED_WITHIN = 10.0
UNAVAILABLE = 14
"""The code in the body of a 503: try again. Source: gRPC status codes."""


@dataclass(frozen=True)
class Own:
    """A running Collector of one test, which forwards to the test's sink."""

    server: Child
    otlp: Endpoint
    metrics: Endpoint
    health: Endpoint
    sink: OtlpSink

    def push(self, count: int = 1) -> tuple[Answer, set[bytes]]:
        """Send spans in one request; the answer, and their ids."""
        spans = [make_span("work") for _ in range(count)]
        request = trace_request({"service.name": "own"}, spans)
        return export_http(self.otlp, request, encoding="json"), {span.span_id for span in spans}

    def pushed(self, count: int = 1) -> set[bytes]:
        """The ids of spans that were sent and acknowledged."""
        answer, ids = self.push(count)
        assert answer.status == 200, answer.text
        return ids

    def counted(self, name: str, **labels: str) -> float:
        """One of its own counters, over all series that carry these labels."""
        return total(expect(200, self.metrics, "/metrics").text, f"otelcol_{name}", **labels)

    def until_counted(self, name: str, value: float, **labels: str) -> None:
        """Wait until a counter has reached a value; more fails at once."""

        def look() -> None:
            seen = self.counted(name, **labels)
            assert seen <= value, f"{name}: expected {value}, counted {seen}"
            if seen < value:
                raise NotYet(f"{seen} of {value}")

        poll(look, Deadline.after(DELIVERED_WITHIN), f"{name} {labels}", self.server.exit_report)

    def until_delivered(self, ids: set[bytes]) -> None:
        """Wait until exactly these spans have arrived, each once."""

        def look() -> None:
            found = Counter(span.span_id for span in self.sink.items())
            assert set(found) <= ids, f"{len(set(found) - ids)} spans arrived that nobody acknowledged"
            if set(found) != ids:
                raise NotYet(f"{len(found)} of {len(ids)} spans")
            assert max(found.values(), default=1) == 1, "delivered twice"

        poll(look, Deadline.after(DELIVERED_WITHIN), "delivery", self.server.exit_report)


def configuration(otlp: Endpoint, metrics: Endpoint, sink: OtlpSink) -> dict[str, Any]:
    """The smallest pipeline with a queue and quick retries."""
    reader = {"host": metrics.host, "port": metrics.port, "without_type_suffix": True, "without_units": True}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": otlp.address}}}},
        "exporters": {
            "otlp_http": {
                "endpoint": sink.endpoint.url, "compression": "none", "timeout": "2s",
                "sending_queue": {"num_consumers": 1, "queue_size": 1000},
                "retry_on_failure": {
                    "initial_interval": "50ms", "max_interval": "100ms", "max_elapsed_time": "30s",
                },
            }
        },
        "service": {
            "telemetry": {
                "metrics": {"level": "detailed", "readers": [{"pull": {"exporter": {"prometheus": reader}}}]}
            },
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
        },
    }  # fmt: skip


def exporter(**change: Any) -> dict[str, Any]:
    """A change of the exporter."""
    return {"exporters": {"otlp_http": change}}


def processor(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A change that puts one processor into the pipeline."""
    return {"processors": {name: settings}, "service": {"pipelines": {"traces": {"processors": [name]}}}}


@pytest.fixture
def collector(
    start_collector: Callable[..., Child],
    collector_file: Callable[..., Path],
    lease: Callable[..., Endpoint],
    sink: OtlpSink,
) -> Callable[..., Own]:
    """`collector(*changes)`: start one whose configuration differs by these changes, and wait for it."""

    def start(*changes: Mapping[str, Any]) -> Own:
        otlp, metrics, health = lease("otlp_http"), lease("metrics"), lease("health")
        if any("health_check" in change.get("extensions", {}) for change in changes):
            changes = (*changes, {"extensions": {"health_check": {"endpoint": health.address}}})
        file = collector_file(configuration(otlp, metrics, sink), *changes)
        return Own(start_collector(file, metrics, otlp), otlp, metrics, health, sink)

    return start


def test_what_was_accepted_is_sent_or_counted_as_failed(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """Conservation: accepted = sent + failed, whatever the backend answers, and each span arrives at most once.

    Source: "Internal telemetry", receiver_accepted, exporter_sent, exporter_send_failed; OTLP, retryable codes.
    """
    own = collector()
    sink.answers.extend([503, 200, 400, 429, 502, 200, 504, 403, 200, 200, 401])
    batches = [own.pushed(2) for _ in range(30)]

    refused_for_good = 3  # 400, 403 and 401; the others are tried again
    own.until_counted("exporter_sent_spans", 2 * (len(batches) - refused_for_good))
    own.until_counted("exporter_send_failed_spans", 2 * refused_for_good)
    assert own.counted("receiver_accepted_spans") == 2 * len(batches)
    lost = {span.span_id for one in sink.requests if one.status in {400, 401, 403} for span in one.items}
    own.until_delivered(set().union(*batches) - lost)
    assert len(lost) == 2 * refused_for_good


def test_an_outage_of_the_backend_is_ridden_out(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """Clients are served while the backend is away, health stays good, and afterwards everything arrives once.

    Source: exporterhelper, "retry_on_failure"; healthcheckextension.
    """
    own = collector({"extensions": {"health_check": {}}, "service": {"extensions": ["health_check"]}})
    sink.close()
    ids = set().union(*(own.pushed(5) for _ in range(6)))
    assert expect(200, own.health, "/").json()["status"] == "Server available"
    assert own.counted("exporter_sent_spans") == 0
    assert own.counted("exporter_send_failed_spans") == 0, "a retry is no failure yet"

    sink.open()

    own.until_delivered(ids)
    own.until_counted("exporter_sent_spans", len(ids))


def test_the_backends_retry_after_is_waited_for(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """An overloaded backend that asks for a second gets it, not the own 50 ms. Source: OTLP, "Throttling"."""
    own = collector()
    sink.answers.append((429, {"Retry-After": "1"}))
    ids = own.pushed()
    own.until_delivered(ids)
    first, second = sink.requests
    assert 0.95 <= second.at - first.at < 3, f"came again after {second.at - first.at:.2f} s"


def test_after_the_longest_time_of_retrying_data_is_dropped_and_counted(
    collector: Callable[..., Own], sink: OtlpSink
) -> None:
    """Old data does not hold up new data for ever. Source: exporterhelper, `max_elapsed_time`."""
    own = collector(exporter(retry_on_failure={"max_elapsed_time": "400ms"}))
    sink.close()
    own.pushed(3)
    own.until_counted("exporter_send_failed_spans", 3)

    sink.open()
    own.until_delivered(own.pushed())


def test_a_full_queue_pushes_back_to_the_client(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """Refused with a retryable error and counted, never dropped in silence; what was taken arrives.

    Source: exporterhelper, `queue_size`; otlpreceiver, errors.
    """
    own = collector(exporter(sending_queue={"queue_size": 2}, timeout="20s"))
    sink.hold.set()
    answers = [own.push() for _ in range(8)]
    taken = set().union(*(ids for answer, ids in answers if answer.status == 200))
    refused = [answer for answer, _ in answers if answer.status != 200]

    assert 2 <= len(taken) <= 4, f"{len(taken)} taken by a queue of 2 with one consumer"
    assert {(answer.status, answer.json()["code"]) for answer in refused} == {(503, UNAVAILABLE)}
    assert "sending queue is full" in refused[0].text
    assert own.counted("exporter_enqueue_failed_spans") == len(refused)
    assert own.counted("receiver_refused_spans") + own.counted("receiver_failed_spans") == len(refused)

    sink.hold.clear()
    own.until_delivered(taken)


def test_a_full_queue_behind_a_batch_is_only_seen_in_its_counter(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """The batch has acknowledged already: accepted = sent + enqueue_failed. Source: batchprocessor, README."""
    batch = processor("batch", {"timeout": "1ms", "send_batch_size": 1})
    own = collector(batch, exporter(sending_queue={"queue_size": 1}, timeout="20s"))
    sink.hold.set()
    ids = set().union(*(own.pushed() for _ in range(10)))

    def some_refused() -> float:
        if not (count := own.counted("exporter_enqueue_failed_spans")):
            raise NotYet("none")
        return count

    poll(some_refused, Deadline.after(DELIVERED_WITHIN), "enqueue_failed", own.server.exit_report)
    sink.hold.clear()

    def settled() -> None:
        sent, failed = own.counted("exporter_sent_spans"), own.counted("exporter_enqueue_failed_spans")
        if sent + failed != len(ids):
            raise NotYet(f"accepted {len(ids)}, sent {sent}, not enqueued {failed}")

    poll(settled, Deadline.after(DELIVERED_WITHIN), "conservation", own.server.exit_report)
    assert len(sink.items()) == own.counted("exporter_sent_spans") < len(ids)


def test_without_queue_and_retry_the_client_hears_what_the_backend_said(
    collector: Callable[..., Own], sink: OtlpSink
) -> None:
    """Unavailable (try again) and refused (do not) reach the sender as such. Source: otlpreceiver, errors.go."""
    own = collector(exporter(sending_queue={"enabled": False}, retry_on_failure={"enabled": False}))
    heard = []
    sink.answers.extend([503, 400])
    for away in (False, False, True):
        if away:
            sink.close()
        answer, _ = own.push()
        heard.append((answer.status, answer.json()["code"]))
    assert heard == [(503, UNAVAILABLE), (400, 3), (503, UNAVAILABLE)]
    assert own.counted("exporter_sent_spans") == 0
    assert own.counted("exporter_send_failed_spans") == 3

    sink.open()
    own.until_delivered(own.pushed())


def test_data_is_refused_while_memory_is_short(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """Above the soft limit clients hear "try again"; the process lives. Source: memorylimiterprocessor, README."""
    limit = {"check_interval": "100ms", "limit_mib": 2, "spike_limit_mib": 1}
    own = collector(processor("memory_limiter", limit))
    counts = {200: 0, 503: 0}

    def refused() -> Answer:
        answer, _ = own.push()
        counts[answer.status] += 1
        if answer.status != 503:
            raise NotYet(f"HTTP {answer.status}")
        return answer

    answer = poll(refused, Deadline.after(DELIVERED_WITHIN), "refusal", own.server.exit_report)

    assert answer.json() == {"code": UNAVAILABLE, "message": "data refused due to high memory usage"}
    assert own.counted("receiver_refused_spans") + own.counted("receiver_failed_spans") == counts[503]
    assert own.counted("receiver_accepted_spans") == counts[200]


def test_a_graceful_stop_delivers_what_waits_in_the_batch(collector: Callable[..., Own], sink: OtlpSink) -> None:
    """SIGTERM flushes batch and queue before the end: nothing acknowledged is lost. Source: batchprocessor."""
    own = collector(processor("batch", {"timeout": "60s", "send_batch_size": 1000}))
    ids = own.pushed(7) | own.pushed(5)
    assert sink.items() == []

    own.server.stop(10)

    assert own.server.exit_report() == "exited with code 0"
    own_ids = {span.span_id for span in sink.items()}
    assert own_ids == ids, f"{len(own_ids)} of {len(ids)} spans were delivered at the stop"
    assert len(sink.items()) == len(ids)


def test_a_queue_on_disk_survives_a_kill(collector: Callable[..., Own], sink: OtlpSink, tmp_path: Path) -> None:
    """What the persistent queue took, in flight or waiting, is sent after SIGKILL and restart. Source: "storage"."""
    storage = {
        "extensions": {"file_storage": {"directory": str(tmp_path / "queue"), "create_directory": True}},
        "service": {"extensions": ["file_storage"]},
    }
    own = collector(storage, exporter(sending_queue={"storage": "file_storage"}))
    sink.close()
    ids = set().union(*(own.pushed(3) for _ in range(4)))

    own.server.kill()
    sink.open()
    own.server.launch()

    own.until_delivered(ids)
