"""Queue, storage, retry and exporter together, with a fake push: conservation, order of death, and the defects."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.emulators.otel_collector import failures
from harness.emulators.otel_collector.batch import BatchProcessor
from harness.emulators.otel_collector.defects import DEFECTS
from harness.emulators.otel_collector.exporter import Exporter
from harness.emulators.otel_collector.failures import Failure
from harness.emulators.otel_collector.file_storage import FileStorage, StorageClient
from harness.emulators.otel_collector.logs import Log
from harness.emulators.otel_collector.otlp_receiver import OtlpReceiver
from harness.emulators.otel_collector.retry import Backoff, Retry
from harness.emulators.otel_collector.sending_queue import QueueFull, SendingQueue
from harness.emulators.otel_collector.signals import TRACES, Data
from harness.emulators.otel_collector.telemetry import Telemetry
from harness.emulators.runner import ConfigError, Defects
from tests.unit.emulators.otel_collector.otel_collector_rig import trace_request

DOWN = failures.from_grpc(failures.UNAVAILABLE, "down", None, False)
REFUSED = failures.from_grpc(failures.INVALID_ARGUMENT, "bad", None, False)
QUICK = {
    "initial_interval": 0.001, "max_interval": 0.002, "max_elapsed_time": 30.0, "multiplier": 1.5,
    "randomization_factor": 0.5,
}  # fmt: skip


class Plan:
    """A push that follows a plan, one entry per call: a failure, or None. It remembers what arrived."""

    def __init__(self, *steps: Failure | None, forever: Failure | None = None) -> None:
        self.steps, self.forever = list(steps), forever
        self.calls = 0
        self.arrived: list[bytes] = []

    async def __call__(self, data: Data) -> None:
        await asyncio.sleep(0)
        self.calls += 1
        step = self.steps.pop(0) if self.steps else self.forever
        if step:
            raise step
        self.arrived += span_ids(data)


def span_ids(data: Data) -> list[bytes]:
    """The spans of a request."""
    return [span.span_id for _, scope in TRACES.scope_groups(data) for span in scope.spans]


def rig(
    push: Callable[[Data], Awaitable[None]],
    *names: str,
    queue: SendingQueue | None = None,
    retry: dict[str, Any] | None = None,
) -> Exporter:
    """An exporter with defects."""
    defects = Defects(DEFECTS, frozenset(names))
    log = Log(stream=io.StringIO())
    again = Retry({**QUICK, **(retry or {})}, log, ignores_retry_info="ignores_retry_info" in defects)
    return Exporter("otlp_grpc/tempo", TRACES, push, Telemetry(), log, defects, queue, again, consumers=2)


def totals(exporter: Exporter) -> dict[str, int]:
    """What became of the items."""
    counted = {
        word: int(exporter.telemetry.value(f"exporter_{word}_spans"))
        for word in ("sent", "send_failed", "enqueue_failed")
    }
    return {**counted, "held": exporter.queue.items() if exporter.queue else 0}


async def settle(exporter: Exporter, held: int = 0) -> None:
    """Wait until the queue holds no more than this many items."""
    async with asyncio.timeout(5):
        while totals(exporter)["held"] > held:
            await asyncio.sleep(0.001)


def log_of(exporter: Exporter) -> str:
    """What the exporter logged."""
    stream = exporter.log.stream
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


# -- storage --------------------------------------------------------------------------------------------------


def test_storage_survives_and_drops_a_torn_record(tmp_path: Path) -> None:
    """What was set is there again; a record cut short by SIGKILL is not, and does no harm."""
    path = tmp_path / "q"
    client = StorageClient(path)
    client.set(1, b"one")
    client.set(2, b"two")
    client.delete(1)
    client.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:19])
    again = StorageClient(path)
    assert again.values == {2: b"two"}
    assert path.read_bytes() == whole
    again.set(3, b"three")
    again.close()
    assert StorageClient(path).values == {2: b"two", 3: b"three"}


def test_storage_belongs_to_one_process(tmp_path: Path) -> None:
    """The second opener is refused, as bbolt refuses it."""
    first = StorageClient(tmp_path / "q")
    with pytest.raises(ConfigError, match="timeout"):
        StorageClient(tmp_path / "q")
    first.close()
    StorageClient(tmp_path / "q").close()


def test_storage_shrinks(tmp_path: Path) -> None:
    """A file that is mostly dead is rewritten, and keeps what lives."""
    client = StorageClient(tmp_path / "q")
    client.set(0, b"keep")
    for key in range(1, 60):
        client.set(key, bytes(100_000))
        client.delete(key)
    assert (tmp_path / "q").stat().st_size < 5_000_000
    client.close()
    assert StorageClient(tmp_path / "q").values == {0: b"keep"}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.binary(max_size=20)), max_size=30), st.integers(0, 400))
def test_storage_is_a_prefix_of_its_history(tmp_path_factory: Any, steps: list[Any], cut: int) -> None:
    """Wherever the file is cut, what is read is a state that once was."""
    path = tmp_path_factory.mktemp("store") / "q"
    client, states = StorageClient(path), [dict[int, bytes]()]
    for is_set, key, value in steps:
        client.set(key, value) if is_set else client.delete(key)
        states.append(dict(client.values))
    client.close()
    path.write_bytes(path.read_bytes()[:cut])
    again = StorageClient(path)
    again.close()
    assert again.values in states


def test_missing_directory_is_a_start_error(tmp_path: Path) -> None:
    """Unless it may be created."""
    with pytest.raises(ConfigError, match="directory must exist"):
        FileStorage("file_storage", tmp_path / "none", create=False).check()
    storage = FileStorage("file_storage", tmp_path / "new", create=True)
    storage.check()
    assert storage.client("otlp_grpc/tempo", "traces").path.name == "exporter_otlp_grpc_tempo_traces"


# -- queue ----------------------------------------------------------------------------------------------------


def test_queue_is_bounded_and_counts_what_is_dispatched() -> None:
    """Items in flight still take room."""

    async def scenario() -> None:
        queue = SendingQueue(TRACES, 2)
        for _ in range(2):
            await queue.offer(trace_request(3))
        with pytest.raises(QueueFull, match="sending queue is full"):
            await queue.offer(trace_request(3))
        found = await queue.take()
        assert found
        with pytest.raises(QueueFull):
            await queue.offer(trace_request(3))
        await queue.done(found[0])
        await queue.offer(trace_request(3))

    asyncio.run(scenario())


def crash_and_return(tmp_path: Path, **options: bool) -> int:
    """Queue three requests, dispatch one, die without a word; how many the next process finds."""

    async def scenario() -> int:
        client = StorageClient(tmp_path / "q")
        queue = SendingQueue(TRACES, 10, client, **options)
        for _ in range(3):
            await queue.offer(trace_request())
        assert await queue.take()
        client.close()
        return SendingQueue(TRACES, 10, StorageClient(tmp_path / "q")).restored

    return asyncio.run(scenario())


def test_queue_on_disk_resends_what_was_in_flight(tmp_path: Path) -> None:
    """Dispatched is not delivered."""
    assert crash_and_return(tmp_path) == 3


def test_defect_queue_forgets_in_flight(tmp_path: Path) -> None:
    """The defect loses exactly what was being sent."""
    assert crash_and_return(tmp_path, forgets_in_flight=True) == 2


# -- retry ----------------------------------------------------------------------------------------------------


def test_backoff_grows_to_its_ceiling_within_its_jitter() -> None:
    """5 s, 7.5 s, 11.25 s ... 30 s, each spread by half."""
    low, high = Backoff(5, 30, 1.5, 0.5, lambda: 0.0), Backoff(5, 30, 1.5, 0.5, lambda: 1.0)
    assert [low.next() for _ in range(3)] == [2.5, 3.75, 5.625]
    assert [high.next() for _ in range(7)][-1] == 45.0


def test_retry_words() -> None:
    """Permanent, out of time, interrupted: the prefixes of the real log."""

    async def attempt(failure: Failure, retry: Retry) -> str:
        async def push() -> None:
            raise failure

        with pytest.raises(Failure) as caught:
            await retry.send(push)
        return caught.value.text

    async def scenario() -> None:
        log = Log(stream=io.StringIO())
        assert (await attempt(REFUSED, Retry(QUICK, log))).startswith("not retryable error: Permanent error: rpc error")
        short = {**QUICK, "max_elapsed_time": 0.005}
        assert (await attempt(DOWN, Retry(short, log))).startswith(
            "no more retries left: rpc error: code = Unavailable"
        )
        stopping = Retry(QUICK, log)
        stopping.stop()
        assert (await attempt(DOWN, stopping)).startswith("interrupted due to shutdown: rpc error")

    asyncio.run(scenario())


def elapsed_with_throttle(*names: str) -> float:
    """Seconds to deliver when the backend asks for 0.2 s."""

    async def scenario() -> float:
        exporter = rig(Plan(failures.throttled(DOWN, 0.2)), *names)
        started = asyncio.get_running_loop().time()
        await exporter.consume(trace_request())
        return asyncio.get_running_loop().time() - started

    return asyncio.run(scenario())


def test_retry_info_is_honoured() -> None:
    """The backend's delay replaces a shorter own one."""
    assert elapsed_with_throttle() >= 0.2


def test_defect_ignores_retry_info() -> None:
    """The defect comes back at once."""
    assert elapsed_with_throttle("ignores_retry_info") < 0.1


# -- exporter -------------------------------------------------------------------------------------------------

STEP = st.sampled_from([None, DOWN, REFUSED])


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=30), st.lists(st.integers(1, 4), max_size=20), st.integers(1, 5))
def test_conservation(steps: list[Failure | None], sizes: list[int], capacity: int) -> None:
    """Every item offered is sent, failed, refused or held; what is counted as sent arrived, once."""

    async def scenario() -> None:
        push = Plan(*steps)
        exporter = rig(push, queue=SendingQueue(TRACES, capacity))
        exporter.start()
        offered = refused = 0
        for size in sizes:
            offered += size
            try:
                await exporter.consume(trace_request(size))
            except QueueFull:
                refused += size
            assert sum(totals(exporter).values()) == offered
        await settle(exporter)
        await exporter.stop()
        found = totals(exporter)
        assert sum(found.values()) == offered
        assert found["enqueue_failed"] == refused
        assert found["sent"] == len(push.arrived) == len(set(push.arrived))

    asyncio.run(scenario())


def deliver(push: Plan, *names: str, retry: dict[str, Any] | None = None) -> Exporter:
    """One request through a queue until it is gone; the exporter as it was then."""

    async def scenario() -> Exporter:
        exporter = rig(push, *names, queue=SendingQueue(TRACES, 9), retry=retry)
        exporter.start()
        await exporter.consume(trace_request(5))
        await settle(exporter)
        await exporter.stop()
        return exporter

    return asyncio.run(scenario())


def test_retryable_errors_are_retried_and_not_counted() -> None:
    """send_failed stays 0 while there is hope."""
    push = Plan(DOWN, DOWN)
    exporter = deliver(push)
    assert (totals(exporter)["sent"], totals(exporter)["send_failed"], push.calls) == (5, 0, 3)
    assert log_of(exporter).count("Exporting failed. Will retry the request after interval.") == 2


def test_permanent_errors_drop_at_once() -> None:
    """Counted with their type, logged with the number of items."""
    exporter = deliver(Plan(forever=REFUSED))
    labels = {"error_permanent": "true", "error_type": "InvalidArgument"}
    assert exporter.telemetry.value("exporter_send_failed_spans", **labels) == 5
    assert '"dropped_items": 5' in log_of(exporter)
    series = {family.name: family.samples for family in exporter.telemetry.families()}
    assert [sample.value for sample in series["otelcol_exporter_sent_spans"]] == [0]


def test_out_of_time_drops() -> None:
    """Past max_elapsed_time the data is lost and counted as not permanent."""
    exporter = deliver(Plan(forever=DOWN), retry={"max_elapsed_time": 0.01})
    labels = {"error_permanent": "false", "error_type": "Unavailable"}
    assert exporter.telemetry.value("exporter_send_failed_spans", **labels) == 5


def test_defect_counts_failed_as_sent() -> None:
    """The defect's metrics say all is well."""
    push = Plan(forever=REFUSED)
    found = totals(deliver(push, "counts_failed_as_sent"))
    assert (found["sent"], found["send_failed"], push.arrived) == (5, 0, [])


def test_defect_duplicate_delivery() -> None:
    """The defect delivers twice and counts once."""
    push = Plan()
    assert totals(deliver(push, "duplicate_delivery"))["sent"] == 5
    assert len(push.arrived) == 10


def test_queue_full_is_refused_and_counted() -> None:
    """The client is told; enqueue_failed grows."""
    assert (QueueFull().http_status, QueueFull().message) == (503, "sending queue is full")
    assert overflow() == (True, 2)


def test_defect_queue_full_acknowledged() -> None:
    """The defect tells nobody."""
    assert overflow("queue_full_acknowledged") == (False, 0)


def overflow(*names: str) -> tuple[bool, int]:
    """Whether the second request into a queue of one was refused, and what was counted."""

    async def scenario() -> tuple[bool, int]:
        exporter = rig(Plan(), *names, queue=SendingQueue(TRACES, 1))
        await exporter.consume(trace_request(2))
        try:
            await exporter.consume(trace_request(2))
        except QueueFull:
            return True, totals(exporter)["enqueue_failed"]
        return False, totals(exporter)["enqueue_failed"]

    return asyncio.run(scenario())


def test_stop_gives_a_memory_queue_one_last_try() -> None:
    """Without a backend each request is tried once more, then dropped with the words of the capture."""

    async def scenario() -> None:
        push = Plan(forever=DOWN)
        exporter = rig(push, queue=SendingQueue(TRACES, 9), retry={"initial_interval": 10.0})
        for _ in range(4):
            await exporter.consume(trace_request())
        exporter.start()
        await asyncio.sleep(0.02)
        await asyncio.wait_for(exporter.stop(), 1)
        assert (push.calls, totals(exporter)["send_failed"]) == (4, 4)
        assert exporter.telemetry.value("exporter_send_failed_spans", error_type="Shutdown") == 4
        assert log_of(exporter).count("interrupted due to shutdown: rpc error: code = Unavailable desc = down") == 4

    asyncio.run(scenario())


def test_stop_keeps_a_queue_on_disk(tmp_path: Path) -> None:
    """What is in flight or waiting stays, and nothing new is dispatched."""

    async def scenario() -> None:
        queue = SendingQueue(TRACES, 9, StorageClient(tmp_path / "q"))
        push = Plan(forever=DOWN)
        exporter = rig(push, queue=queue, retry={"initial_interval": 10.0})
        exporter.start()
        for _ in range(4):
            await exporter.consume(trace_request())
        await asyncio.sleep(0.02)
        await exporter.hold()
        await exporter.consume(trace_request())
        await asyncio.wait_for(exporter.stop(), 1)
        again = SendingQueue(TRACES, 9, StorageClient(tmp_path / "q"))
        assert (again.restored, push.calls) == (5, 2)

    asyncio.run(scenario())


# -- the ends of the pipeline -----------------------------------------------------------------------------------


class Sink:
    """A consumer that keeps what it is given."""

    mutates = False

    def __init__(self) -> None:
        self.spans = 0

    async def consume(self, data: Data) -> None:
        self.spans += TRACES.count(data)


def flush_at_stop(*, loses: bool) -> int:
    """How many of three pending spans reach the sink when the batch processor stops."""

    async def scenario() -> int:
        sink = Sink()
        options = {"timeout": 60.0, "send_batch_size": 100, "send_batch_max_size": 0}
        batch = BatchProcessor("batch", TRACES, options, Telemetry(), Log(stream=io.StringIO()), sink, loses)
        batch.start()
        await batch.consume(trace_request(3))
        await batch.stop()
        return sink.spans

    return asyncio.run(scenario())


def test_batch_is_flushed_at_stop() -> None:
    """Nothing pending is lost by SIGTERM."""
    assert flush_at_stop(loses=False) == 3


def test_defect_batch_lost_on_shutdown() -> None:
    """The defect loses it."""
    assert flush_at_stop(loses=True) == 0


def test_a_closed_receiver_lets_nothing_in() -> None:
    """What comes on a kept-alive connection after the stop is refused retryably, not taken and lost."""

    async def scenario() -> None:
        sink = Sink()
        receiver = OtlpReceiver("otlp", Telemetry(), Defects(DEFECTS, frozenset()), {"traces": sink})
        await receiver.close(grace=1)
        with pytest.raises(Failure) as caught:
            await receiver.accept(TRACES, trace_request(), "http")
        assert (caught.value.http_status, sink.spans) == (503, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(("names", "delivered"), [((), 20), (("ack_without_consume",), 18)])
def test_defect_ack_without_consume(names: tuple[str, ...], delivered: int) -> None:
    """Every tenth request vanishes behind its acknowledgement; without the defect none does."""

    async def scenario() -> None:
        sink, telemetry = Sink(), Telemetry()
        receiver = OtlpReceiver("otlp", telemetry, Defects(DEFECTS, frozenset(names)), {"traces": sink})
        for _ in range(20):
            await receiver.accept(TRACES, trace_request(), "http")
        assert telemetry.value("receiver_accepted_spans", transport="http") == 20
        assert sink.spans == delivered

    asyncio.run(scenario())
