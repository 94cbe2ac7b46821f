"""Promote, hold, rollback: every rule on both sides of its bound."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.canary import decision
from harness.canary.decision import Decision, Finding

PROMOTE, HOLD, ROLLBACK = Decision.PROMOTE, Decision.HOLD, Decision.ROLLBACK


def outcomes(count: int, *red: int) -> dict[str, bool]:
    """The outcome of so many tests in one round."""
    return {f"t{number}": number not in red for number in range(count)}


@pytest.mark.parametrize(
    ("pin", "candidate", "expected"),
    [
        ([outcomes(200)], [outcomes(200)], PROMOTE),
        ([outcomes(200)], [outcomes(200, 1, 2)], HOLD),
        ([outcomes(200)], [outcomes(200, 1, 2, 3)], ROLLBACK),
        ([outcomes(200)] * 2, [outcomes(200, 1, 2, 3), outcomes(200, 1, 2, 3)], ROLLBACK),
        ([outcomes(200)] * 2, [outcomes(200, *range(9)), outcomes(200)], HOLD),
        ([outcomes(200, 1, 2, 3)], [outcomes(200, 1, 2, 3)], HOLD),
        ([outcomes(200, *range(9))], [outcomes(200)], HOLD),
        ([outcomes(0)], [outcomes(0)], HOLD),
        ([], [], HOLD),
        ([{"a": True}], [{"b": True}], HOLD),
    ],
)
def test_results(pin: list[dict[str, bool]], candidate: list[dict[str, bool]], expected: Decision) -> None:
    assert decision.results(pin, candidate).decision is expected


def test_what_is_red_only_on_the_candidate_is_named() -> None:
    found = decision.results([outcomes(10)], [outcomes(10, 3, 4, 5, 6, 7, 8)])
    assert found.told.endswith("red only there: t3, t4, t5, t6, t7 ...")
    assert "0.0% failed on the pin, 60.0% on the candidate" in found.told


FAST, SLOW = [0.001] * 100, [0.0025] * 100


@pytest.mark.parametrize(
    ("pin", "candidate", "expected"),
    [
        (FAST, FAST, PROMOTE),
        (SLOW, FAST, PROMOTE),
        (FAST, [0.0019] * 100, PROMOTE),
        (FAST, SLOW, ROLLBACK),
        ([*([0.001] * 94), *([0.004] * 6)], [*([0.001] * 90), *([0.009] * 10)], HOLD),
        (FAST, [], HOLD),
        ([], FAST, HOLD),
    ],
)
def test_latency(pin: list[float], candidate: list[float], expected: Decision) -> None:
    assert decision.latency(pin, candidate, Random(7)).decision is expected


@pytest.mark.parametrize(
    ("pin", "candidate", "expected"),
    [
        ([1.0, 2.0], [9.0, 10.0], PROMOTE),
        ([1.0, 2.0], [9.0, 10.1], ROLLBACK),
        ([1.0, 12.0], [9.0, 11.0], HOLD),
        ([], [1.0], HOLD),
        ([1.0], [], HOLD),
    ],
)
def test_recovery(pin: list[float], candidate: list[float], expected: Decision) -> None:
    assert decision.recovery(pin, candidate, 10.0).decision is expected


def test_one_lost_write_is_enough() -> None:
    assert decision.upgrade(["a", "b"], ["b", "a", "c"]).decision is PROMOTE
    found = decision.upgrade(["a", "b"], ["b"])
    assert (found.decision, found.told) == (
        ROLLBACK,
        "2 acknowledged writes in the pin's data, 1 lost by the candidate: a",
    )


def test_an_answer_that_is_other_or_missing_counts() -> None:
    assert decision.golden({"q": [1]}, {"q": [1], "more": 2}).decision is PROMOTE
    assert decision.golden({"q": [1]}, {"q": [2]}).decision is ROLLBACK
    assert decision.golden({"q": [1]}, {}).told == "1 fixed queries, 1 answered otherwise: q"
    many = {str(number): number for number in range(200)}
    assert decision.golden(many, {**many, "7": None}).decision is PROMOTE


@pytest.mark.parametrize(
    ("found", "expected"),
    [([], HOLD), ([PROMOTE], PROMOTE), ([PROMOTE, HOLD], HOLD), ([ROLLBACK, HOLD, PROMOTE], ROLLBACK)],
)
def test_the_gravest_finding_decides(found: list[Decision], expected: Decision) -> None:
    decided = decision.overall(Finding("x", one, "") for one in found)
    assert decided is expected
    assert decided.exit_code == {PROMOTE: 0, HOLD: 10, ROLLBACK: 20}[expected]


durations = st.lists(st.floats(0.0001, 10), min_size=1, max_size=60)


@given(durations, st.integers())
def test_an_interval_holds_its_value_and_repeats_with_its_seed(taken: list[float], seed: int) -> None:
    found = decision.p95_interval(taken, Random(seed))
    assert min(taken) <= found.low <= found.high <= max(taken)
    assert found == decision.p95_interval(taken, Random(seed))


@given(durations)
def test_the_95th_percentile_is_the_smallest_that_95_of_100_do_not_exceed(taken: list[float]) -> None:
    found = decision.p95(taken)
    assert sum(one <= found for one in taken) >= 0.95 * len(taken)
    assert sum(one < found for one in taken) < 0.95 * len(taken)
