"""Numbers from histories made by hand."""

from __future__ import annotations

import pytest

from harness.experiments import measure
from harness.experiments.history import Result
from harness.experiments.verdicts import Finding
from harness.model import Verdict
from tests.unit.rigs.history_rig import at, ok

OUTAGE = [
    *(ok("add", n, n / 10, n / 10 + 0.01) for n in range(20)),
    at("add", 20, 2.0, 2.034, Result.INFO),
    ok("add", 21, 1.99, 2.4),
    *(ok("add", n, 3.7 + n / 10, 3.78 + n / 10) for n in range(5)),
]
"""The fault comes at 2.0; a call sent before it is answered during the outage."""


def test_recovery_time_ends_with_the_first_call_that_was_sent_after_the_fault_and_acknowledged() -> None:
    assert measure.recovery_time(OUTAGE, 2.0) == 1.78


def test_without_any_answer_there_is_no_recovery_time() -> None:
    assert measure.recovery_time(OUTAGE[:22], 2.0) is None
    assert measure.outage(OUTAGE[:22], 2.0).seconds is None


def test_a_call_in_flight_that_is_still_answered_does_not_hide_the_outage() -> None:
    early = [ok("add", 0, 2.01, 2.02), *OUTAGE]
    found = measure.outage(early, 2.0)
    assert (found.began, found.ended) == (2.02, 3.78)


def test_the_call_that_the_end_of_the_workload_cuts_off_is_no_outage() -> None:
    cut_off = [*OUTAGE, at("add", 40, 4.2, 8.2, Result.INFO)]
    assert measure.recovery_time(cut_off, 2.0) is None
    assert measure.recovery_time(measure.as_of(4.3, cut_off), 2.0) == measure.recovery_time(OUTAGE, 2.0)
    assert measure.recovery_time(measure.as_of(8.2, cut_off), 2.0) is None


def test_a_client_that_is_refused_to_the_end_was_never_served_again() -> None:
    refused = [at("add", 30 + n, 2.1 + n / 10, 2.11 + n / 10, Result.FAIL) for n in range(20)]
    once_more = ok("add", 29, 2.01, 2.04)
    assert measure.recovery_time([*OUTAGE[:20], once_more, *refused], 2.0) is None
    assert measure.recovery_time([*OUTAGE[:20], once_more, *refused, ok("add", 99, 4.1, 4.11)], 2.0) == 2.11


def test_without_an_outage_the_recovery_time_is_zero() -> None:
    calm = [ok("add", n, n / 10, n / 10 + (0.05 if n == 45 else 0.01)) for n in range(60)]
    assert measure.recovery_time(calm, 2.0) == 0.0
    assert measure.recovery_time([*calm[:30], *calm[33:]], 2.0) == 1.31


def test_detection_is_the_first_failure_a_client_saw_to_ten_milliseconds() -> None:
    assert measure.detection_time(OUTAGE, 2.0) == 0.03
    assert measure.detection_time(OUTAGE[:20], 2.0) is None


def test_loss_is_taken_from_whoever_judged_it() -> None:
    lost = Finding("set-full", Verdict.INVALID, "", {"lost": 3, "lost_seconds": 0.5, "stale": 0})
    assert measure.loss([Finding("rto", Verdict.VALID, ""), lost]) == {"lost": 3, "lost_seconds": 0.5}
    assert measure.loss([]) == {}


def test_the_timeline_has_rates_and_errors_per_second() -> None:
    points = measure.timeline(OUTAGE, 0.0, bucket=1.0)
    assert [point["at"] for point in points] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert points[2] == {"at": 2.0, "ok": 1.0, "errors": 1.0, "p95_ms": 410.0}


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0)])
def test_percentiles_are_values_that_occurred(share: float, expected: float) -> None:
    assert measure.percentile([4.0, 1.0, 3.0, 2.0], share) == expected
    assert measure.percentile([], share) == 0.0
