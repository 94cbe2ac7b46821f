"""Whether something grows under steady use: judged from a measured series, never from its two ends.

After a warm-up (a quarter of the series) the rest is cut into three parts. Something grows when the median of each
part is above that of the part before, and the last is above the first by more than is allowed. So a jump that stays
(a cache that filled) is no growth, and neither is noise.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.model import Verdict
from harness.probes.usage import Usage

LEAST = 12
"""So many samples are needed for a judgement."""


@dataclass(frozen=True)
class Allowance:
    """What may be added between the first and the last part: the larger of a number, and a share of the first."""

    unit: str
    number: float
    share: float

    def of(self, first: float) -> float:
        """How much that is."""
        return max(self.number, self.share * first)


ALLOWED: Mapping[str, Allowance] = {
    "memory": Allowance("MiB", 16.0, 0.25),
    "handles": Allowance("open handles", 16.0, 0.25),
}


@dataclass(frozen=True)
class Growth:
    """The judgement on one measure of one subject. `first` and `last` are medians of parts of the series."""

    subject: str
    measure: str
    verdict: Verdict
    first: float = 0.0
    last: float = 0.0
    cause: str = ""

    def __str__(self) -> str:
        if self.verdict is Verdict.UNKNOWN:
            return f"{self.subject}: {self.measure} unknown: {self.cause}"
        said = "GROWS" if self.verdict is Verdict.INVALID else "steady"
        return (
            f"{self.subject}: {self.measure} {said}: {self.first:.1f} to {self.last:.1f} {ALLOWED[self.measure].unit}"
        )


def judge(samples: Sequence[Mapping[str, Usage | None]]) -> list[Growth]:
    """Every subject's memory and handles. A subject that was not seen in every sample is unknown, never sound."""
    subjects = dict.fromkeys(name for sample in samples for name in sample)
    found = []
    for name in subjects:
        seen = [sample.get(name) for sample in samples]
        found += [_measure(name, "memory", [used.memory / 2**20 if used else None for used in seen])]
        found += [_measure(name, "handles", [used.handles if used else None for used in seen])]
    return found


def worst(found: Iterable[Growth]) -> Verdict:
    """Invalid before unknown before valid; unknown when there is nothing to judge."""
    verdicts = {growth.verdict for growth in found} or {Verdict.UNKNOWN}
    return next(one for one in (Verdict.INVALID, Verdict.UNKNOWN, Verdict.VALID) if one in verdicts)


def _measure(subject: str, measure: str, series: Sequence[float | None]) -> Growth:
    values = [value for value in series if value is not None]
    if not values:
        return Growth(subject, measure, Verdict.UNKNOWN, cause="this machine does not show it")
    if len(values) < len(series):
        missing = len(series) - len(values)
        return Growth(subject, measure, Verdict.UNKNOWN, cause=f"missing in {missing} of {len(series)} samples")
    if len(values) < LEAST:
        return Growth(subject, measure, Verdict.UNKNOWN, cause=f"{len(values)} samples, at least {LEAST} are needed")
    first, middle, last = _parts(values)
    grows = first < middle < last and last - first > ALLOWED[measure].of(first)
    return Growth(subject, measure, Verdict.INVALID if grows else Verdict.VALID, first, last)


def _parts(values: Sequence[float]) -> tuple[float, float, float]:
    """The medians of three parts of what follows the warm-up."""
    rest = values[len(values) // 4 :]
    third = len(rest) // 3
    return (
        statistics.median(rest[:third]),
        statistics.median(rest[third : 2 * third]),
        statistics.median(rest[2 * third :]),
    )
