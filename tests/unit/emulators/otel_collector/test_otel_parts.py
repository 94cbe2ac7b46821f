"""The small parts, each by itself: numbers, logs, failures, batches, attributes, conditions, the limiter."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulators.otel_collector import failures
from harness.emulators.otel_collector.attributes import attribute_changer, parse_actions, resource_changer
from harness.emulators.otel_collector.batch import Batch
from harness.emulators.otel_collector.exposition import number
from harness.emulators.otel_collector.failures import Failure
from harness.emulators.otel_collector.filter import build_filter, parse_condition
from harness.emulators.otel_collector.logs import Log
from harness.emulators.otel_collector.memory_limiter import MIB, MemoryLimiter
from harness.emulators.otel_collector.pipeline import fan_out
from harness.emulators.otel_collector.signals import METRICS, TRACES, BadId, attributes
from harness.emulators.otel_collector.telemetry import Telemetry
from harness.emulators.runner import ConfigError
from tests.unit.emulators.otel_collector.otel_collector_rig import trace_request


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (85032960, "8.503296e+07"), (1048576, "1.048576e+06"), (100000, "100000"), (1009, "1009"), (0.25, "0.25"),
        (6.3084e-05, "6.3084e-05"), (0.001210813, "0.001210813"), (52.972312965, "52.972312965"), (0, "0"), (-3, "-3"),
    ],
)  # fmt: skip
def test_numbers_as_go_prints_them(value: float, text: str) -> None:
    """Values taken from captures."""
    assert number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_lose_nothing(value: float) -> None:
    """Printing is exact."""
    assert float(number(value)) == value
    assert float(number(value, True)) == value


def test_log_lines() -> None:
    """Tab separated with the fields as JSON; what is below the level is left out."""
    now = [1_800_000_000.0]
    stream = io.StringIO()
    log = Log(stream=stream, clock=lambda: now[0]).named("exporter", "otlp_grpc/tempo", "traces")
    log.write("error", "internal/queue_sender.go:62", "Exporting failed. Dropping data.", dropped_items=1)
    lines = stream.getvalue().splitlines()
    stamp, level, caller, message, fields = lines[0].split("\t")
    assert (stamp, level, caller) == ("2027-01-15T08:00:00.000Z", "error", "internal/queue_sender.go:62")
    assert message == "Exporting failed. Dropping data."
    assert fields.startswith('{"otelcol.component.id": "otlp_grpc/tempo"')
    assert fields.endswith('"dropped_items": 1}')
    log.write("debug", "x", "below the level")
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    ("code", "has_info", "permanent", "http"),
    [
        (failures.UNAVAILABLE, False, False, 503), (failures.DEADLINE_EXCEEDED, False, False, 503),
        (failures.INVALID_ARGUMENT, False, True, 400), (failures.INTERNAL, False, True, 500),
        (failures.UNAUTHENTICATED, False, True, 401), (failures.PERMISSION_DENIED, False, True, 403),
        (failures.UNIMPLEMENTED, False, True, 404), (failures.RESOURCE_EXHAUSTED, False, True, 429),
        (failures.RESOURCE_EXHAUSTED, True, False, 429),
    ],
)  # fmt: skip
def test_which_statuses_are_permanent(code: int, has_info: bool, permanent: bool, http: int) -> None:
    """ResourceExhausted is only retryable when the backend said for how long."""
    failure = failures.from_grpc(code, "x", 5.0 if has_info else None, has_info)
    assert (failure.permanent, failure.http_status) == (permanent, http)


def test_failure_words() -> None:
    """The texts of the captured log lines and answers."""
    permanent = failures.from_grpc(failures.INVALID_ARGUMENT, "trace ids must be 128 bit, received 0 bits", None, False)
    words = "Permanent error: rpc error: code = InvalidArgument desc = trace ids must be 128 bit, received 0 bits"
    assert permanent.message == words
    throttled = failures.from_grpc(failures.RESOURCE_EXHAUSTED, "RATE_LIMITED", 5.0, True)
    assert throttled.message == "Throttle (5s), error: rpc error: code = ResourceExhausted desc = RATE_LIMITED"
    plain = failures.from_grpc(failures.UNAVAILABLE, "gone", None, False)
    assert plain.message == "gone"
    assert (
        plain.wrapped("no more retries left").text == "no more retries left: rpc error: code = Unavailable desc = gone"
    )
    assert failures.from_http("http://x", 418, None, None).permanent
    assert failures.from_http("http://x", 503, None, 2.0).retry_after == 2.0


# -- batch ----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(1, 10), st.integers(0, 10))
def test_batches_lose_and_invent_nothing(sizes: list[int], size: int, extra: int) -> None:
    """Every span goes in once and comes out once; no batch exceeds the limit."""
    limit = size + extra if extra else 0
    batch = Batch(TRACES, size, limit)
    sent, received = [], []
    for count in sizes:
        request = trace_request(count)
        sent += _span_ids(request)
        batch.add(request)
        while batch.full(timed=True):
            received.append(batch.cut())
    while batch.count:
        received.append(batch.cut())
    assert sorted(sent) == sorted(span for data in received for span in _span_ids(data))
    assert all(TRACES.count(data) <= limit for data in received) or not limit


def _span_ids(data: Any) -> list[bytes]:
    return [span.span_id for _, scope in TRACES.scope_groups(data) for span in scope.spans]


def test_ids_are_checked_and_zero_ids_blanked() -> None:
    """A wrong length is refused; all zeros pass and leave the Collector empty."""
    request = trace_request(trace_id=bytes(16))
    TRACES.check_ids(request)
    assert request.resource_spans[0].scope_spans[0].spans[0].trace_id == b""
    with pytest.raises(BadId, match="unmarshal: invalid TraceID length"):
        TRACES.check_ids(trace_request(trace_id=b"short"))


# -- processors -----------------------------------------------------------------------------------------------


def test_attribute_actions() -> None:
    """insert, update, upsert, delete, and copying from another attribute."""
    actions = parse_actions(
        "processors::attributes",
        [
            {"key": "new", "action": "insert", "value": 1},
            {"key": "new", "action": "insert", "value": 2},
            {"key": "missing", "action": "update", "value": "x"},
            {"key": "copy", "action": "upsert", "from_attribute": "new"},
            {"key": "new", "action": "update", "value": True},
            {"key": "gone", "action": "upsert", "value": 2.5},
            {"key": "gone", "action": "delete"},
        ],
    )
    request = trace_request(2)
    assert attribute_changer(TRACES, actions)(request)
    span = request.resource_spans[0].scope_spans[0].spans[1]
    assert attributes(span.attributes) == {"new": True, "copy": 1}
    assert resource_changer(TRACES, actions)(request)
    assert attributes(request.resource_spans[0].resource.attributes) == {
        "service.name": "probe",
        "new": True,
        "copy": 1,
    }


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"action": "insert", "value": 1}, 'missing required field "key"'),
        ({"key": "k", "action": "nosuch"}, 'unsupported action "nosuch"'),
        ({"key": "k", "action": "insert"}, 'Either field "value"'),
        ({"key": "k", "action": "hash"}, "(501)"),
    ],
)
def test_bad_actions(action: dict[str, Any], words: str) -> None:
    """Refused at start-up."""
    with pytest.raises(ConfigError) as caught:
        parse_actions("processors::attributes", [action])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('name == "work"', True),
        ('name != "work"', False),
        ('resource.attributes["service.name"] == "probe"', True),
        ('attributes["n"] == 3 and attributes["s"] == "x"', True),
        ('attributes["n"] == 3 and attributes["s"] == "y"', False),
        ('attributes["none"] != "x"', True),
        ('attributes["b"] == true', True),
        ('attributes["n"] == true', False),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    """The emulated part of OTTL."""
    request = trace_request()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="n").value.int_value = 3
    span.attributes.add(key="s").value.string_value = "x"
    span.attributes.add(key="b").value.bool_value = True
    assert parse_condition(condition, "Error:")(span, request.resource_spans[0].resource) is expected


@pytest.mark.parametrize(
    "condition",
    [
        'name', 'name = "x"', 'name < "x"', 'Len(name) == 3', 'name == "x" extra', '(name == "x")', 'status.code == 2',
        'IsMatch(name, "^wo")', 'name == "a" or name == "b"', 'not name == "a"', 'resource.name == "x"',
    ],
)  # fmt: skip
def test_conditions_outside_the_subset(condition: str) -> None:
    """Refused, never evaluated wrongly."""
    with pytest.raises(ConfigError, match=r"Error: .*501"):
        parse_condition(condition, "Error:")


def test_filter_drops_what_matches_and_says_when_nothing_is_left() -> None:
    """Empty groups leave too, and the number of dropped items is told."""
    dropped: list[int] = []
    settings = {"traces": {"span": ['resource.attributes["service.name"] == "noise"']}}
    found = build_filter("filter", TRACES, settings, dropped.append)
    request = trace_request(2)
    request.MergeFrom(trace_request(3, service="noise"))
    assert found.change(request)
    assert (TRACES.count(request), len(request.resource_spans), dropped) == (2, 1, [3])
    assert not found.change(trace_request(1, service="noise"))


def test_filter_of_metrics() -> None:
    """A metric that matches leaves with its points, and so does one without points."""
    found = build_filter("filter", METRICS, {"metrics": {"metric": ['name == "b"']}}, lambda _count: None)
    request = METRICS.request()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    for name in ("a", "b"):
        metrics.add(name=name).gauge.data_points.add(as_int=1)
    metrics.add(name="empty")
    assert found.change(request)
    assert [metric.name for metric in metrics] == ["a"]


def limiter(used: list[int], *, never_refuses: bool = False) -> MemoryLimiter:
    """A limiter of 10 MiB with a soft limit of 8; `used` is what it measures and what a collection leaves."""
    settings = {"limit_mib": 10, "spike_limit_mib": 2, "check_interval": 1.0}
    return MemoryLimiter(settings, Log(stream=io.StringIO()), lambda: used[0], lambda: None, never_refuses)


def test_memory_limiter() -> None:
    """Refuses above the soft limit, retryably, and resumes below it."""
    used = [5 * MIB]
    found = limiter(used)
    found.check()
    found.admit()
    used[0] = 9 * MIB
    found.check()
    with pytest.raises(Failure, match="data refused due to high memory usage") as caught:
        found.admit()
    assert (caught.value.http_status, caught.value.permanent) == (503, False)
    used[0] = MIB
    found.check()
    found.admit()
    assert "Resuming normal operation." in found.log.stream.getvalue()  # type: ignore[attr-defined]


def test_memory_limits() -> None:
    """A spike limit nobody set is a fifth."""
    settings = {"limit_mib": 10, "spike_limit_mib": 0, "check_interval": 1.0}
    found = MemoryLimiter(settings, Log(stream=io.StringIO()), lambda: 0, lambda: None)
    assert (found.hard, found.soft) == (10 * MIB, 8 * MIB)


def test_fan_out_shields_the_others_from_one_that_changes() -> None:
    """A consumer that mutates gets a copy; a failure comes after all were asked."""
    seen: list[str] = []

    class Consumer:
        def __init__(self, changes: bool, fails: bool = False) -> None:
            self.mutates, self.fails = changes, fails

        async def consume(self, data: Any) -> None:
            seen.append(data.resource_spans[0].schema_url)
            if self.mutates:
                data.resource_spans[0].schema_url = "changed"
            if self.fails:
                raise Failure(None, "no")

    everyone = fan_out([Consumer(True), Consumer(False, fails=True), Consumer(True), Consumer(False)])
    with pytest.raises(Failure):
        asyncio.run(_consume(everyone))
    assert seen == [""] * 4


async def _consume(consumer: Any) -> None:
    await consumer.consume(trace_request())


def test_defect_limiter_never_refuses() -> None:
    """The defect lets everything in."""
    found = limiter([20 * MIB], never_refuses=True)
    found.check()
    found.admit()


def test_own_metrics_know_their_names() -> None:
    """A name nobody documented is a programming error, not a new series."""
    telemetry = Telemetry()
    with pytest.raises(KeyError):
        telemetry.add("nosuch", 1)
    telemetry.add("receiver_accepted_spans", 2, receiver="otlp", transport="http")
    assert telemetry.value("receiver_accepted_spans", receiver="otlp") == 2
