"""A lock has at most one holder at any moment, and passes on only after its delay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from harness.experiments.history import Operation, Result, oks
from harness.experiments.verdicts import Finding
from harness.model import Verdict


@dataclass(frozen=True)
class Hold:
    """The time in which a client certainly held a key: from its acknowledgement to the start of whatever ended it."""

    client: str
    key: str
    since: float
    until: float
    died: bool


@dataclass(frozen=True)
class MutualExclusion:
    """`acquire` and `release` per key and client; `die` marks the end of a holder that could not release.

    Only certain time counts: an acquire holds from its acknowledgement until its client begins to release, or dies.
    `delay` is the lock-delay in seconds that must pass between a holder's death and the next acquire.
    """

    name: ClassVar[str] = "mutual-exclusion"
    kinds: ClassVar[tuple[str, ...]] = ("acquire",)
    delay: float = 0.0

    def check(self, operations: Sequence[Operation]) -> Finding:
        """Every hold against the next one of the same key."""
        holds = sorted(_holds(operations), key=lambda hold: (hold.key, hold.since))
        wrong = []
        latest: dict[str, Hold] = {}
        for hold in holds:  # against the hold that lasts longest so far: an early long one may cover many
            before = latest.get(hold.key)
            if before is not None and (words := self._conflict(before, hold)):
                wrong.append(words)
            if before is None or hold.until > before.until:
                latest[hold.key] = hold
        details = {"holds": len(holds), "conflicts": len(wrong)}
        if wrong:
            return Finding(self.name, Verdict.INVALID, f"{len(wrong)} conflicts: {wrong[0]}", details)
        return Finding(self.name, Verdict.VALID, f"{len(holds)} holds, never two at once", details)

    def _conflict(self, before: Hold, after: Hold) -> str:
        if after.since < before.until and after.client != before.client:
            overlap = min(before.until, after.until) - after.since
            return f"{before.key}: {after.client} acquired while {before.client} held it, for {overlap:.3f} s"
        gap = after.since - before.until
        if before.died and after.client != before.client and gap < self.delay:
            return f"{before.key}: passed on {gap:.2f} s after {before.client} died, lock-delay is {self.delay:g} s"
        return ""


def _holds(operations: Iterable[Operation]) -> list[Hold]:
    ordered = sorted(operations, key=lambda item: item.started)
    holds = []
    for client, key in dict.fromkeys((item.client, item.key) for item in oks(ordered, "acquire")):
        mine = [item for item in ordered if (item.client, item.key) == (client, key) and _counts(item)]
        never = Operation("end", client, key, None, Result.OK, float("inf"), float("inf"))
        for acquired, ending in pairwise([*mine, never]):
            if acquired.kind == "acquire":
                # A second acquire by the holder itself renews the hold, which then simply goes on.
                holds.append(Hold(client, key, acquired.ended, ending.started, ending.kind == "die"))
    return holds


def _counts(operation: Operation) -> bool:
    """An acquire only when acknowledged; a release whether or not its answer came, because it may have released."""
    if operation.kind == "acquire":
        return operation.ok
    return operation.kind == "die" or (operation.kind == "release" and operation.result is not Result.FAIL)
