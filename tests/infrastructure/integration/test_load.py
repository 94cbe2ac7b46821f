"""Many callers at once: nothing that was acknowledged is lost, no write and no span. Times are told, not judged."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harness.experiments.checkers.set_full import SetFull
from harness.experiments.history import History, Result, oks
from harness.model import Verdict
from harness.probes.exposition import total
from harness.probes.poll import Deadline, NotYet, poll
from harness.services.http_session import ServiceSession
from harness.services.otel_client import CollectorClient

if TYPE_CHECKING:
    from tests.infrastructure.integration.conftest import Caller, Deployment

ARRIVES_WITHIN = 60.0
"""Seconds until the last span is counted: everything may be queued by then."""
PER_WRITE = {"call": 1, "PUT /items": 1, "upsert": 1, "EVAL": 1}
"""The spans of one write, by name."""


def load(deployment: Deployment, caller: Caller, callers: int, seconds: float) -> History:
    """Each caller writes items of its own, one after the other, alternating between the instances."""
    history, until = History(), time.monotonic() + seconds

    def put(name: str, instance: int) -> None:
        call = caller.call("PUT", f"{deployment.instances[instance].url}/items/{name}", name)
        assert call.status == 200, call.body

    def work(number: int) -> None:
        count = 0
        while time.monotonic() < until:
            name, instance, count = f"{number}-{count}", (number + count) % 2, count + 1
            history.perform("add", f"caller-{number}", "items", name, lambda: put(name, instance))  # noqa: B023

    with ThreadPoolExecutor(callers) as pool:
        for done in [pool.submit(work, number) for number in range(callers)]:
            done.result()
    history.perform("read", "checker", "items", None, lambda: list(deployment.database.collection("items").keys()))
    return history


@pytest.mark.usefixtures("scraping")
@pytest.mark.parametrize(
    ("callers", "seconds"),
    [pytest.param(8, 2, id="8-callers"), pytest.param(50, 10, id="50-callers", marks=pytest.mark.slow)],
)
def test_load_loses_no_write_and_no_span(
    deployment: Deployment,
    caller: Caller,
    tempo: ServiceSession,
    otel_collector: CollectorClient,
    record_property: Callable[[str, object], None],
    callers: int,
    seconds: float,
) -> None:
    """What was acknowledged is stored; every span of every request is counted by the Collector and found in Tempo.

    Source: ArangoDB, "Durability"; spanmetrics connector, README; Tempo, "TraceQL metrics".
    """
    deployment.start("catalogue", "catalogue")
    history = load(deployment, caller, callers, seconds)
    caller.sdk.flush_spans()
    writes = [one for one in history.operations if one.kind == "add"]
    assert not [one.error for one in writes if one.result is not Result.OK][:3]
    finding = SetFull().check(history.operations)
    assert finding.verdict is Verdict.VALID, finding
    tell(record_property, [one.seconds for one in oks(writes)], callers, seconds)

    wanted = {name: count * len(writes) for name, count in PER_WRITE.items()}
    counted(otel_collector, deployment, wanted)
    stored(tempo, deployment, wanted)
    lost = sum(one.value for each in deployment.instances for one in each.metrics("cache_requests", outcome="error"))
    assert lost == 0, f"{lost:.0f} calls of the cache failed"


def tell(record: Callable[[str, object], None], times: list[float], callers: int, seconds: float) -> None:
    """The percentiles, into the report and onto the terminal."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    found = {f"p{part}_ms": round(cuts[part - 1] * 1000, 1) for part in (50, 95, 99)}
    found["writes_per_second"] = round(len(times) / seconds, 1)
    for name, value in found.items():
        record(name, value)
    print(f"{callers} callers for {seconds} s, {len(times)} writes:", found)


def counted(otel_collector: CollectorClient, deployment: Deployment, wanted: dict[str, int]) -> None:
    """Wait until the Collector has counted exactly these spans by name."""

    def ask() -> None:
        page = otel_collector.prometheus.get("/metrics").text
        services = {"call": deployment.service("caller")}
        seen = {
            name: total(page, "traces_span_metrics_calls", span_name=name,
                        service_name=services.get(name, deployment.service("catalogue")))
            for name in wanted
        }  # fmt: skip
        if seen != wanted:
            raise NotYet(f"{seen}, expected {wanted}")

    poll(ask, Deadline.after(ARRIVES_WITHIN), "every span in the span metrics", interval=0.2)


def stored(tempo: ServiceSession, deployment: Deployment, wanted: dict[str, int]) -> None:
    """Wait until Tempo holds exactly these spans by name."""
    mark, value = next(iter(deployment.marks.items()))
    query = f'{{ resource.{mark} = "{value}" }} | count_over_time() by (name)'

    def ask() -> None:
        now = time.time()
        asked = {"q": query, "start": str(int(now - 120)), "end": str(int(now + 1)), "step": "10s"}
        answer = tempo.get("/api/metrics/query_range", params=asked)
        assert answer.status_code == 200, answer.text[:200]
        seen = Counter[str]()
        for series in answer.json()["series"]:
            (label,) = [one["value"]["stringValue"] for one in series["labels"] if one["key"] == "name"]
            seen[label] += sum(int(sample.get("value", 0)) for sample in series["samples"])
        if any(seen[name] != count for name, count in wanted.items()):
            raise NotYet(f"{dict(seen)}, expected {wanted}")

    poll(ask, Deadline.after(ARRIVES_WITHIN), "every span in Tempo", interval=0.5)
