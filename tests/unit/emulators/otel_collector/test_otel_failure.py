"""What outages, kills and stops cost: the table of measured Collector behaviour, on the emulator."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests

from tests.unit.emulators.otel_collector.otel_collector_rig import (
    Backend,
    Running,
    backend,
    collector,
    exporter_of,
    free_port,
    in_memory,
    quick_retry,
    trace_request,
    unbatched,
    until,
)


def spans_of(requests_sent: list[Any]) -> set[bytes]:
    """The span ids of some requests."""
    return {
        span.span_id
        for sent in requests_sent
        for group in sent.resource_spans
        for s in group.scope_spans
        for span in s.spans
    }


def push_some(running: Running, count: int = 5) -> set[bytes]:
    """Push single spans, each acknowledged."""
    sent = [trace_request() for _ in range(count)]
    assert all(running.push(request).status_code == 200 for request in sent)
    return spans_of(sent)


def delivered(target: Backend, wanted: set[bytes], seconds: float = 5) -> None:
    """Every span arrived, once."""
    until(lambda: wanted <= set(target.spans), seconds)
    assert all(target.spans.count(span) == 1 for span in wanted)


def exact(running: Running) -> None:
    """Conservation: accepted = sent + failed + refused by the queue + held."""
    found = {name: running.metric(f"exporter_{name}_spans") for name in ("sent", "send_failed", "enqueue_failed")}
    assert running.metric("receiver_accepted_spans") == sum(found.values()), found


def test_outage_is_ridden_out(tmp_path: Path) -> None:
    """Backend down: clients get 200, health stays 200, nothing is counted as failed; afterwards all arrive, once."""
    with backend(up=False) as target, collector(tmp_path, f"127.0.0.1:{target.port}", quick_retry) as running:
        sent = push_some(running)
        until(lambda: running.metric("exporter_in_flight_requests", exporter="otlp_grpc/tempo") >= 1)
        assert running.metric("exporter_queue_size") >= 1
        assert running.metric("exporter_send_failed_spans") == 0
        assert requests.get(running.url("health"), timeout=5).status_code == 200
        until(lambda: "Exporting failed. Will retry the request after interval." in running.log.read_text())
        target.start()
        delivered(target, sent)
        until(lambda: running.metric("exporter_sent_spans") == 5)
        exact(running)


def test_defect_health_follows_backend(tmp_path: Path) -> None:
    """The defect reports the backend's illness as the Collector's own."""
    down = f"127.0.0.1:{free_port()}"
    with collector(tmp_path, down, quick_retry, "health_follows_backend") as running:
        push_some(running, 1)
        until(lambda: requests.get(running.url("health"), timeout=5).status_code == 503)


def test_defect_gives_up_at_first_failure(tmp_path: Path) -> None:
    """The defect drops what a retry would have delivered."""
    down = f"127.0.0.1:{free_port()}"
    with collector(tmp_path, down, quick_retry, "gives_up_at_first_failure") as running:
        push_some(running, 1)
        until(lambda: running.metric("exporter_send_failed_spans") == 1)


def test_kill_with_the_queue_on_disk(tmp_path: Path) -> None:
    """SIGKILL once the batch has left: queued and in flight are delivered by the next process."""
    with backend(up=False) as target:
        endpoint = f"127.0.0.1:{target.port}"
        with collector(tmp_path, endpoint, quick_retry) as running:
            sent = push_some(running)
            until(lambda: running.metric("processor_batch_batch_send_size_sum") >= 5)
            until(lambda: running.metric("exporter_in_flight_requests", exporter="otlp_grpc/tempo") >= 1)
            running.kill()
        target.start()
        with collector(tmp_path, endpoint, quick_retry) as running:
            delivered(target, sent)
            until(lambda: running.metric("exporter_sent_spans") == 5)
            assert running.metric("exporter_queue_size") == 0
        with collector(tmp_path, endpoint, quick_retry) as running:
            assert running.metric("exporter_queue_size") == 0
        assert len(target.spans) == 5


def test_kill_loses_the_batch(tmp_path: Path) -> None:
    """What still waits in the batch processor is memory, whatever the queue is."""

    def slow_batch(config: dict[str, Any]) -> None:
        config["processors"]["batch"]["timeout"] = "30s"

    with backend() as target:
        endpoint = f"127.0.0.1:{target.port}"
        with collector(tmp_path, endpoint, slow_batch) as running:
            push_some(running)
            running.kill()
        with collector(tmp_path, endpoint) as running:
            sent = push_some(running, 1)
            delivered(target, sent)
        assert len(target.spans) == 1


def test_term_drains_memory(tmp_path: Path) -> None:
    """SIGTERM right after the push, queue in memory: all delivered, exit 0, at once."""
    with backend() as target, collector(tmp_path, f"127.0.0.1:{target.port}", in_memory) as running:
        sent = push_some(running)
        started = time.monotonic()
        assert running.terminate() == 0
        assert time.monotonic() - started < 2
        delivered(target, sent)
        assert "Shutdown complete." in running.log.read_text()


def listens(port: int) -> bool:
    """Whether a connection is taken."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_nothing_new_is_taken_while_draining(tmp_path: Path) -> None:
    """From SIGTERM on connections are refused, although the last export still runs."""
    with backend() as target, collector(tmp_path, f"127.0.0.1:{target.port}", in_memory) as running:
        target.plan = [1.0]
        sent = push_some(running, 1)
        until(lambda: target.calls)
        running.process.terminate()
        until(lambda: not any(listens(running.ports[name]) for name in ("http", "grpc")), 0.8)
        assert running.process.poll() is None
        assert running.process.wait(5) == 0
        delivered(target, sent)


def test_term_under_load_loses_nothing(tmp_path: Path) -> None:
    """Whatever was acknowledged before the process ended is delivered, over connections kept alive."""
    with backend() as target, collector(tmp_path, f"127.0.0.1:{target.port}", in_memory) as running:
        acknowledged: list[bytes] = []

        def load() -> None:
            headers = {"Content-Type": "application/x-protobuf"}
            with requests.Session() as session:
                while True:
                    request = trace_request()
                    body = request.SerializeToString()
                    try:
                        answer = session.post(running.url("http", "/v1/traces"), data=body, headers=headers, timeout=5)
                    except requests.ConnectionError:
                        return
                    if answer.status_code == 200:
                        acknowledged.extend(spans_of([request]))

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) > 50)
        assert running.terminate() == 0
        for thread in threads:
            thread.join(5)
        delivered(target, set(acknowledged))


def test_term_keeps_the_disk(tmp_path: Path) -> None:
    """SIGTERM with the queue on disk: nothing is sent at shutdown, all is delivered after the restart."""

    def patient(config: dict[str, Any]) -> None:  # so that nothing leaves the batch before the signal comes
        config["processors"]["batch"]["timeout"] = "60s"

    with backend() as target:
        endpoint = f"127.0.0.1:{target.port}"
        with collector(tmp_path, endpoint, patient) as running:
            sent = push_some(running)
            assert running.terminate() == 0
        assert not sent & set(target.spans)
        with collector(tmp_path, endpoint):
            delivered(target, sent)


def test_term_without_backend_drops_memory(tmp_path: Path) -> None:
    """SIGTERM, backend down, queue in memory: exit 0 at once, the loss is logged."""
    with collector(tmp_path, f"127.0.0.1:{free_port()}", in_memory) as running:
        push_some(running, 3)
        until(lambda: running.metric("exporter_in_flight_requests", exporter="otlp_grpc/tempo") == 1)
        assert running.terminate() == 0
        log = running.log.read_text()
        assert '"error": "interrupted due to shutdown: rpc error: code = Unavailable desc = connection error' in log
        assert "Exporting failed. Dropping data." in log
        assert '"dropped_items": ' in log


def test_full_queue_without_batch(tmp_path: Path) -> None:
    """The client is told: 503 and UNAVAILABLE; refused and enqueue_failed grow alike."""

    def small(config: dict[str, Any]) -> None:
        unbatched(config)
        exporter_of(config)["sending_queue"]["queue_size"] = 2

    with collector(tmp_path, f"127.0.0.1:{free_port()}", small) as running:
        assert [running.push(trace_request()).status_code for _ in range(5)] == [200, 200, 503, 503, 503]
        with pytest.raises(grpc.RpcError) as caught:
            running.push_grpc(trace_request())
        assert caught.value.details() == "sending queue is full"
        assert running.metric("exporter_enqueue_failed_spans") == 4
        assert running.metric("receiver_refused_spans") == 4
        assert running.metric("receiver_accepted_spans") == 2
        assert running.metric("exporter_queue_size") == 2
        assert running.metric("exporter_queue_capacity") == 2


def test_full_queue_behind_batch(tmp_path: Path) -> None:
    """The client is not told: only enqueue_failed shows the loss."""

    def small(config: dict[str, Any]) -> None:
        in_memory(config)
        exporter_of(config)["sending_queue"]["queue_size"] = 1
        config["processors"]["batch"] = {"timeout": "20ms", "send_batch_size": 1}

    with collector(tmp_path, f"127.0.0.1:{free_port()}", small) as running:
        push_some(running, 4)
        until(lambda: running.metric("exporter_enqueue_failed_spans") == 3)
        assert running.metric("receiver_accepted_spans") == 4
        assert "Sender failed" in running.log.read_text()


def test_retry_info_is_waited_for(tmp_path: Path) -> None:
    """Throttled for 1 s while the own back-off is 30 ms: the next attempt comes a second later."""
    with backend() as target, collector(tmp_path, f"127.0.0.1:{target.port}", unbatched) as running:
        target.plan, target.retry_info = [grpc.StatusCode.RESOURCE_EXHAUSTED], 1
        delivered(target, push_some(running, 1))
        assert target.calls[1] - target.calls[0] >= 1
        assert '"Throttle (1s), error: rpc error: code = ResourceExhausted' in running.log.read_text()


def test_exhausted_without_retry_info_is_permanent(tmp_path: Path) -> None:
    """Dropped at once, and the error is labelled permanent."""
    with backend() as target, collector(tmp_path, f"127.0.0.1:{target.port}", unbatched) as running:
        target.plan = [grpc.StatusCode.RESOURCE_EXHAUSTED]
        push_some(running, 1)
        labels = {"error_permanent": "true", "error_type": "ResourceExhausted"}
        until(lambda: running.metric("exporter_send_failed_spans", **labels) == 1)
        exact(running)


def test_conservation_under_a_moody_backend(tmp_path: Path) -> None:
    """Refusals, outages and hangs mixed: every accepted span ends in exactly one count."""

    def change(config: dict[str, Any]) -> None:
        unbatched(config)
        exporter_of(config)["sending_queue"]["num_consumers"] = 4
        exporter_of(config)["timeout"] = "200ms"

    moods: list[Any] = [grpc.StatusCode.UNAVAILABLE, None, grpc.StatusCode.INVALID_ARGUMENT, None, None]
    with backend() as target, collector(tmp_path, f"127.0.0.1:{target.port}", change) as running:
        target.plan = moods * 12 + [grpc.StatusCode.ABORTED, None]
        sent = push_some(running, 60)
        until(lambda: running.metric("exporter_queue_size") == 0)
        exact(running)
        assert running.metric("exporter_sent_spans") == len(target.spans)
        assert running.metric("exporter_send_failed_spans") == len(sent - set(target.spans)) > 0


def test_sighup_does_not_end_it(tmp_path: Path) -> None:
    """Reloading is not emulated; the process says so and goes on."""
    import signal

    with backend() as target, collector(tmp_path, f"127.0.0.1:{target.port}", in_memory) as running:
        running.process.send_signal(signal.SIGHUP)
        until(lambda: "SIGHUP is not emulated (501)" in running.log.read_text())
        delivered(target, push_some(running, 1))
