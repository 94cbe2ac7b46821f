"""From what was measured to promote, hold or rollback: pure, every rule with its bound.

Rollback when the candidate makes more than 1 % of what is asked of it fail, answers at more than twice the pin's p95,
recovers slower than its budget, or loses an acknowledged write. Where the intervals of the two sides overlap the
difference may be chance: hold. Whatever could not be compared is a hold too, never a promotion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

ERROR_RATE = 0.01
SLOWER = 2.0
RESAMPLED = 400
"""Draws of the bootstrap that gives a p95 its interval (Efron and Tibshirani 1993, percentile interval of 95 %)."""


class Decision(StrEnum):
    """What to do with the candidate."""

    PROMOTE = "promote"
    HOLD = "hold"
    ROLLBACK = "rollback"

    @property
    def exit_code(self) -> int:
        """0, 10 or 20."""
        return {Decision.PROMOTE: 0, Decision.HOLD: 10, Decision.ROLLBACK: 20}[self]


@dataclass(frozen=True)
class Finding:
    """One thing that was compared, what it comes to, and the figures that say so."""

    subject: str
    decision: Decision
    told: str


@dataclass(frozen=True)
class Interval:
    """A figure and the range that it may as well have been."""

    value: float
    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether both may be the same."""
        return self.low <= other.high and other.low <= self.high


def overall(findings: Iterable[Finding]) -> Decision:
    """The gravest of all; hold when nothing was compared."""
    order = list(Decision)
    return max((found.decision for found in findings), key=order.index, default=Decision.HOLD)


def results(pin: Sequence[Mapping[str, bool]], candidate: Sequence[Mapping[str, bool]]) -> Finding:
    """Tests by id and whether they passed, a mapping for each round of each side. Only what both ran is compared."""
    common = set.intersection(*(set(one) for one in (*pin, *candidate))) if pin and candidate else set()
    if not common:
        return Finding("results", Decision.HOLD, "no test ran on both sides in every round")
    rates = [_rates(side, common) for side in (pin, candidate)]
    broken = sorted(
        test for test in common if all(one[test] for one in pin) and not all(one[test] for one in candidate)
    )
    told = f"{len(common)} tests on both; {_percent(rates[0])} failed on the pin, {_percent(rates[1])} on the candidate"
    told += f"; red only there: {', '.join(broken[:5])}" + (" ..." if len(broken) > 5 else "") if broken else ""
    if rates[1].value - rates[0].value > ERROR_RATE and not rates[0].overlaps(rates[1]):
        return Finding("results", Decision.ROLLBACK, told)
    return Finding("results", Decision.HOLD if broken or rates[0].value else Decision.PROMOTE, told)


def latency(pin: Sequence[float], candidate: Sequence[float], rng: Random) -> Finding:
    """Seconds of each round trip."""
    if not pin or not candidate:
        return Finding("latency", Decision.HOLD, "a side answered nothing that could be measured")
    of_pin, of_candidate = (p95_interval(side, rng) for side in (pin, candidate))
    ratio = of_candidate.value / of_pin.value
    told = f"p95 {_milliseconds(of_pin)} on the pin, {_milliseconds(of_candidate)} on the candidate: {ratio:.2f} times"
    if ratio <= SLOWER:
        return Finding("latency", Decision.PROMOTE, told)
    return Finding("latency", Decision.HOLD if of_pin.overlaps(of_candidate) else Decision.ROLLBACK, told)


def recovery(pin: Sequence[float], candidate: Sequence[float], budget: float) -> Finding:
    """Seconds from each kill to the next answer."""
    if not pin or not candidate:
        return Finding("recovery", Decision.HOLD, "a side was not killed and brought back")
    told = f"back after {max(pin):.2f} s on the pin, {max(candidate):.2f} s on the candidate; budget {budget:g} s"
    if max(candidate) <= budget:
        return Finding("recovery", Decision.PROMOTE, told)
    overlap = Interval(max(pin), min(pin), max(pin)).overlaps(Interval(max(candidate), min(candidate), max(candidate)))
    return Finding("recovery", Decision.HOLD if overlap else Decision.ROLLBACK, told)


def upgrade(acknowledged: Sequence[str], kept: Iterable[str]) -> Finding:
    """Writes that the pin acknowledged, and those that the candidate finds in the pin's data."""
    lost = sorted(set(acknowledged) - set(kept))
    told = f"{len(acknowledged)} acknowledged writes in the pin's data, {len(lost)} lost by the candidate"
    told += f": {', '.join(lost[:5])}" if lost else ""
    return Finding("upgrade", Decision.ROLLBACK if lost else Decision.PROMOTE, told)


def golden(expected: Mapping[str, object], found: Mapping[str, object]) -> Finding:
    """Answers of fixed queries on a fixed data set, by query."""
    other = sorted(query for query in expected if found.get(query) != expected[query])
    told = f"{len(expected)} fixed queries, {len(other)} answered otherwise" + (
        f": {'; '.join(other[:5])}" if other else ""
    )
    too_many = len(other) > ERROR_RATE * len(expected)
    return Finding("golden answers", Decision.ROLLBACK if too_many else Decision.PROMOTE, told)


def p95_interval(seconds: Sequence[float], rng: Random) -> Interval:
    """The 95th percentile and its 95 % interval."""
    drawn = sorted(p95(rng.choices(seconds, k=len(seconds))) for _ in range(RESAMPLED))
    return Interval(p95(seconds), drawn[int(0.025 * RESAMPLED)], drawn[int(0.975 * RESAMPLED)])


def p95(seconds: Sequence[float]) -> float:
    """The smallest value that 95 % do not exceed (nearest rank)."""
    ordered = sorted(seconds)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def _rates(rounds: Sequence[Mapping[str, bool]], tests: set[str]) -> Interval:
    rates = [sum(not one[test] for test in tests) / len(tests) for one in rounds]
    return Interval(sum(rates) / len(rates), min(rates), max(rates))


def _percent(rate: Interval) -> str:
    return f"{rate.value:.1%}"


def _milliseconds(one: Interval) -> str:
    return f"{one.value * 1000:.2f} ms ({one.low * 1000:.2f}-{one.high * 1000:.2f})"
