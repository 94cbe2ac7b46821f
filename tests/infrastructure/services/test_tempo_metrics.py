"""TraceQL metrics: counts, rates, latencies and error shares of services, computed from spans when asked.

Documents: Tempo HTTP API "TraceQL Metrics"; Tempo "TraceQL metrics functions".
"""

from __future__ import annotations

import itertools
import secrets
import statistics
import time
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from harness.keeper.client import RemoteStack
from harness.probes.poll import Deadline, NotYet, poll
from harness.services.http_session import ServiceSession
from harness.services.otlp_client import MILLISECOND, export_http, make_span, trace_request

COUNTED_WITHIN = 20.0
"""Seconds from the acknowledgement to the metrics query. Measured with this configuration: as for search, below 1 s."""
RELEASES = {"1.0": 20, "1.1": 160}
"""Milliseconds that 95 of 100 requests of a release stay below; the second release is slower."""
REQUESTS = 60
ERRORS = 6
STEP = 5


@dataclass(frozen=True)
class Sold:
    """What was sent: 60 spans of each release, in milliseconds, the first six failed; ended over four seconds."""

    mark: str
    latencies: dict[str, list[float]]
    traces: frozenset[str]
    began: int

    def query(self, text: str) -> str:
        """TraceQL in which `MINE` is a condition that only these spans meet."""
        return text.replace("MINE", f'resource.test.namespace = "{self.mark}"')

    @property
    def window(self) -> dict[str, str]:
        """A range that holds them all."""
        return {"start": str(self.began - 60), "end": str(self.began + 60), "step": f"{STEP}s"}


@pytest.fixture(scope="module")
def sold(stack: RemoteStack, tempo: ServiceSession) -> Sold:
    """Requests of two releases, sent once and waited for until all are counted. Only read by the tests."""
    now, mark, traces = time.time_ns(), f"t-{secrets.token_hex(6)}", set()
    latencies = {
        release: [top * (5 + n) / (5 + REQUESTS) for n in range(REQUESTS)] for release, top in RELEASES.items()
    }
    for release, taken in latencies.items():
        spans = []
        for number, milliseconds in enumerate(taken):
            traces.add(trace := secrets.token_hex(16))
            code = Status.STATUS_CODE_ERROR if number < ERRORS else Status.STATUS_CODE_UNSET
            end = now - (number % 40) * 100 * MILLISECOND
            spans.append(make_span("sell", trace=trace, milliseconds=milliseconds, end=end, status=Status(code=code)))
        resource = {"service.name": f"till-{release}", "service.version": release, "test.namespace": mark}
        assert export_http(stack["tempo"].endpoint("otlp_http"), trace_request(resource, spans)).status == 200
    made = Sold(mark, latencies, frozenset(traces), now // 10**9)

    def ask() -> None:
        seen = sum(values(series)[0] for series in measured(tempo, made, "{ MINE } | count_over_time()", instant=True))
        if seen < 2 * REQUESTS:
            raise NotYet(f"{seen:.0f} of {2 * REQUESTS} spans counted")

    poll(ask, Deadline.after(COUNTED_WITHIN), "the data set's count")
    return made


def measured(tempo: ServiceSession, sold: Sold, query: str, *, instant: bool = False) -> list[dict[str, Any]]:
    """The series of a metrics query over the data set's window."""
    path = "/api/metrics/query" if instant else "/api/metrics/query_range"
    answer = tempo.get(path, params={"q": sold.query(query), **sold.window})
    assert answer.status_code == 200, f"{query}: HTTP {answer.status_code} {answer.text[:200]}"
    found: list[dict[str, Any]] = answer.json().get("series", [])
    return found


def label(series: dict[str, Any], key: str) -> str:
    """The text of one label."""
    found = next(item["value"] for item in series["labels"] if item["key"] == key)
    return str(next(iter(found.values())))


def values(series: dict[str, Any]) -> list[float]:
    """The values of a series; Tempo leaves zeros out of its JSON."""
    if "samples" not in series:
        return [float(series.get("value", 0))]
    return [float(sample.get("value", 0)) for sample in series["samples"]]


def by(series: list[dict[str, Any]], key: str) -> dict[str, list[float]]:
    """Values by a label."""
    return {label(one, key): values(one) for one in series}


def test_counts_over_time_equal_what_was_sent(tempo: ServiceSession, sold: Sold) -> None:
    """Every span is counted once, in one bucket, under its service. Source: "count_over_time"."""
    found = by(
        measured(tempo, sold, "{ MINE } | count_over_time() by (resource.service.name)"), "resource.service.name"
    )
    assert {name: sum(counts) for name, counts in found.items()} == {"till-1.0": REQUESTS, "till-1.1": REQUESTS}
    assert all(sum(count > 0 for count in counts) <= 3 for counts in found.values()), f"spread over 4 s, found {found}"


def test_a_rate_times_its_step_is_the_count(tempo: ServiceSession, sold: Sold) -> None:
    """Requests per second, not per step. Source: "rate"."""
    (series,) = measured(tempo, sold, "{ MINE } | rate()")
    assert sum(values(series)) * STEP == pytest.approx(2 * REQUESTS)
    stamps = [int(sample["timestampMs"]) for sample in series["samples"]]
    assert {later - earlier for earlier, later in itertools.pairwise(stamps)} == {STEP * 1000}


def test_an_instant_query_gives_one_value_for_the_whole_window(tempo: ServiceSession, sold: Sold) -> None:
    """The number for a dashboard's single figure. Source: HTTP API, "Instant"."""
    (series,) = measured(tempo, sold, "{ MINE } | count_over_time()", instant=True)
    assert values(series) == [2 * REQUESTS]


def test_errors_are_a_share_of_all_requests(tempo: ServiceSession, sold: Sold) -> None:
    """The base of an error-rate alert: failed and all requests by release. Source: TraceQL metrics, "rate" by."""
    key = "resource.service.version"
    failed = by(measured(tempo, sold, f"{{ MINE && status = error }} | count_over_time() by ({key})"), key)
    every = by(measured(tempo, sold, f"{{ MINE }} | count_over_time() by ({key})"), key)
    share = {release: sum(failed[release]) / sum(every[release]) for release in RELEASES}
    assert share == dict.fromkeys(RELEASES, ERRORS / REQUESTS)


def test_p95_by_release_recognises_the_slower_one(tempo: ServiceSession, sold: Sold) -> None:
    """A release that takes eight times as long stands out; Tempo's buckets double, so p95 is true within factor two.

    Source: "quantile_over_time".
    """
    query = "{ MINE } | quantile_over_time(duration, .95) by (resource.service.version)"
    found = by(measured(tempo, sold, query, instant=True), "resource.service.version")
    p95 = {release: seconds[0] for release, seconds in found.items()}

    for release, taken in sold.latencies.items():
        true = statistics.quantiles(taken, n=20)[-1] / 1000
        assert true / 2 < p95[release] < true * 2, f"{release}: {p95[release]:.3f} s, truly {true:.3f} s"
    assert p95["1.1"] / p95["1.0"] > 4, f"eight times slower, measured {p95}"


def test_least_greatest_and_mean_duration_are_exact(tempo: ServiceSession, sold: Sold) -> None:
    """Not estimates: from the nanoseconds of the spans. Source: "min_over_time, max_over_time, avg_over_time"."""
    key = "resource.service.version"
    for function, fold in (("min", min), ("max", max), ("avg", statistics.fmean), ("sum", sum)):
        found = by(measured(tempo, sold, f"{{ MINE }} | {function}_over_time(duration) by ({key})", instant=True), key)
        expected = {release: fold(taken) / 1000 for release, taken in sold.latencies.items()}
        assert {release: seconds[0] for release, seconds in found.items()} == pytest.approx(expected, rel=1e-3)


def test_a_histogram_holds_every_request_in_a_bucket_that_fits(tempo: ServiceSession, sold: Sold) -> None:
    """Buckets by powers of two, each with the requests that fall into it. Source: "histogram_over_time"."""
    query = '{ MINE && resource.service.version = "1.1" } | histogram_over_time(duration)'
    buckets = {float(bound): sum(counts) for bound, counts in by(measured(tempo, sold, query), "__bucket").items()}

    assert sum(buckets.values()) == REQUESTS
    for bound, count in buckets.items():
        fitting = [taken for taken in sold.latencies["1.1"] if bound / 2 < taken / 1000 <= bound]
        assert count == len(fitting), f"bucket up to {bound} s: {count}, expected {len(fitting)}"


def test_an_exemplar_leads_from_a_metric_to_one_of_its_traces(tempo: ServiceSession, sold: Sold) -> None:
    """The dots on a latency graph open the trace behind them. Source: HTTP API, "exemplars"."""
    series = measured(tempo, sold, "{ MINE } | quantile_over_time(duration, .95)")
    named = [label(one, "trace:id").zfill(32) for item in series for one in item.get("exemplars", [])]
    assert named, "no exemplar"
    assert set(named) <= sold.traces
    assert tempo.get(f"/api/traces/{named[0]}").status_code == 200


def test_the_slowest_groups_are_picked_by_topk(tempo: ServiceSession, sold: Sold) -> None:
    """Only the highest series survive. Source: "topk"."""
    query = "{ MINE } | max_over_time(duration) by (resource.service.version) | topk(1)"
    found = by(measured(tempo, sold, query, instant=True), "resource.service.version")
    assert {release for release, seconds in found.items() if seconds[0] > 0} == {"1.1"}


@pytest.mark.parametrize(
    ("query", "more", "said"),
    [
        ("{ }", {}, "not a metrics query"),
        ("{ } | quantile_over_time(duration, 2)", {}, "quantile must be between 0 and 1: 2"),
        ("{ | rate()", {}, "parse error at line 1, col 3"),
        ("{ } | rate()", {"since": "48h"}, "metrics query time range exceeds the maximum allowed duration of 24h0m0s"),
    ],
)
def test_a_wrong_metrics_query_is_refused_with_what_is_wrong(
    tempo: ServiceSession, query: str, more: dict[str, str], said: str
) -> None:
    """The message names the mistake. Source: HTTP API, "TraceQL Metrics"; messages of Tempo 3.0.3."""
    answer = tempo.get("/api/metrics/query_range", params={"q": query, **more})
    assert answer.status_code == 400, f"HTTP {answer.status_code} {answer.text[:200]}"
    assert said in answer.text
