"""Numbers from a history: recovery time (RTO), loss (RPO), detection, rate, latency. Pure; resolution 10 ms.

RTO here is the time from the fault to the first acknowledged operation after the outage that it caused, if any. RPO is
the acknowledged writes that are gone, with the window of their acknowledgements. Detection is the time from the fault
to the first operation that a client saw fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from harness.experiments.history import Operation, oks
from harness.experiments.verdicts import Finding

RESOLUTION = 0.01
NOTABLE = 2.0
BUCKET = 0.25
"""Seconds of one point on a timeline."""


def rounded(seconds: float) -> float:
    """To 10 ms."""
    return round(round(seconds / RESOLUTION) * RESOLUTION, 2)


@dataclass(frozen=True)
class Outage:
    """The longest time without an acknowledged operation that the fault falls into or precedes."""

    began: float
    ended: float | None

    @property
    def seconds(self) -> float | None:
        """None while nothing has been acknowledged again."""
        return None if self.ended is None else self.ended - self.began


def as_of(moment: float, operations: Iterable[Operation]) -> list[Operation]:
    """What was known at a moment: an unanswered operation had waited until then, whatever came of it later. The last
    one of a client is cut off when the workload ends, and its time-out is no outage."""
    return [item if item.ok or item.ended <= moment else replace(item, ended=moment) for item in operations]


def outage(operations: Iterable[Operation], fault: float, kinds: tuple[str, ...] = ()) -> Outage:
    """From the fault on. An operation that was sent before the fault and acknowledged after it ends no outage; one that
    nothing acknowledged ended has no end."""
    sent = [item for item in operations if item.started >= fault and (not kinds or item.kind in kinds)]
    moments = [fault, *sorted(item.ended for item in sent if item.ok)]
    began, ended = max(pairwise(moments), key=lambda pair: pair[1] - pair[0], default=(fault, fault))
    unanswered = max((item.ended for item in sent), default=fault) - moments[-1]
    return Outage(moments[-1], None) if len(moments) == 1 or unanswered > ended - began else Outage(began, ended)


def recovery_time(operations: Sequence[Operation], fault: float, kinds: tuple[str, ...] = ()) -> float | None:
    """RTO in seconds; zero when there was no outage, None when the service never answered again.

    A time without an answer is an outage when it is longer than `NOTABLE` times the longest before the fault: the
    longest of the usual ones says nothing about the fault, wherever it happens to lie.
    """
    found = outage(operations, fault, kinds)
    if found.ended is None or found.seconds is None:
        return None
    before = sorted(item.ended for item in oks(operations, *kinds) if item.ended < fault)
    usual = max((later - earlier for earlier, later in pairwise(before)), default=0.0)
    return rounded(found.ended - fault) if found.seconds > usual * NOTABLE else 0.0


def detection_time(operations: Iterable[Operation], fault: float) -> float | None:
    """Seconds until a client saw the first failure; None when none did."""
    moments = [item.ended for item in operations if not item.ok and item.ended >= fault]
    return rounded(min(moments) - fault) if moments else None


def loss(findings: Iterable[Finding]) -> dict[str, Any]:
    """RPO as the checkers found it: how many acknowledged writes, and within how many seconds."""
    for found in findings:
        if "lost" in found.details:
            return {"lost": found.details["lost"], "lost_seconds": found.details["lost_seconds"]}
    return {}


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank; zero for no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def latency(operations: Iterable[Operation]) -> dict[str, float]:
    """Of acknowledged operations, in milliseconds."""
    seconds = [item.seconds for item in oks(operations)]
    return {f"p{share}": round(percentile(seconds, share / 100) * 1000, 2) for share in (50, 95, 99)}


def timeline(operations: Iterable[Operation], began: float, bucket: float = BUCKET) -> list[dict[str, Any]]:
    """Points of `bucket` seconds: when (from `began`), acknowledged and other operations per second, p95 in ms."""
    groups: dict[int, list[Operation]] = {}
    for item in operations:
        groups.setdefault(int((item.ended - began) // bucket), []).append(item)
    return [
        {
            "at": round(index * bucket, 3),
            "ok": round(len(oks(group)) / bucket, 1),
            "errors": round((len(group) - len(oks(group))) / bucket, 1),
            "p95_ms": latency(group)["p95"],
        }
        for index, group in sorted(groups.items())
    ]
