"""A set (or list) that elements are added to: none lost, none stale, none twice, none from nowhere.

After Jepsen's `set-full` checker. `add` operations carry the element, `read` operations everything that was read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.experiments.history import Operation, Result, oks
from harness.experiments.verdicts import Finding
from harness.model import Verdict

SHOWN = 5
"""How many elements a summary names."""


@dataclass(frozen=True)
class SetFull:
    """Loss is judged by the last acknowledged read, so the workload must end with one.

    lost: acknowledged, and absent from the last read. stale: absent from a read that began after the add was
    acknowledged, and there later. duplicate: more than once in one read. unexpected: read, and never tried or
    certainly refused. `most_lost_seconds` allows loss whose acknowledgements all lie within that many seconds (what
    `min-replicas-max-lag` promises); zero allows none. Stale reads are wrong only where `fresh` is promised,
    duplicates are right where delivery is `at_least_once`.
    """

    name: ClassVar[str] = "set-full"
    kinds: ClassVar[tuple[str, ...]] = ("add", "read")
    most_lost_seconds: float = 0.0
    fresh: bool = False
    at_least_once: bool = False

    def check(self, operations: Sequence[Operation]) -> Finding:
        """Compare what was acknowledged with what was read."""
        adds = [item for item in operations if item.kind == "add"]
        reads = sorted(oks(operations, "read"), key=lambda item: item.started)
        if not reads:
            return Finding(self.name, Verdict.UNKNOWN, "nothing was ever read back")
        final = reads[-1]
        present = set(final.value)
        lost = [item for item in oks(adds) if item.ended <= final.started and item.value not in present]
        details = {
            **_loss(lost, len(oks(adds))),
            "stale": _stale(adds, reads),
            "duplicates": _duplicates(reads),
            "unexpected": _unexpected(adds, reads),
        }
        return Finding(self.name, self._verdict(details), _summary(details), details)

    def _verdict(self, details: Mapping[str, Any]) -> Verdict:
        too_much = details["lost"] > 0 and (
            self.most_lost_seconds == 0 or details["lost_seconds"] > self.most_lost_seconds
        )
        stale = self.fresh and details["stale"]
        twice = details["duplicates"] and not self.at_least_once
        wrong = too_much or stale or twice or details["unexpected"]
        return Verdict.INVALID if wrong else Verdict.VALID


def _loss(lost: Sequence[Operation], acknowledged: int) -> dict[str, Any]:
    """Count and window: from the first to the last acknowledgement of what is gone."""
    moments = sorted(item.ended for item in lost)
    walls = sorted(item.wall for item in lost)
    return {
        "acknowledged": acknowledged,
        "lost": len(lost),
        "lost_seconds": round(moments[-1] - moments[0], 3) if moments else 0.0,
        "lost_from": moments[0] if moments else None,
        "lost_to": moments[-1] if moments else None,
        "lost_wall": [walls[0], walls[-1]] if walls else [],
        "lost_examples": [item.value for item in lost[:SHOWN]],
    }


def _stale(adds: Iterable[Operation], reads: Sequence[Operation]) -> int:
    """Elements that a read should have shown, did not, and a later one did."""
    contents = [(read, set(read.value)) for read in reads]
    final = contents[-1][1]
    later = [item for item in oks(adds) if item.value in final]
    return sum(any(add.ended <= read.started and add.value not in seen for read, seen in contents) for add in later)


def _duplicates(reads: Iterable[Operation]) -> list[Any]:
    found: dict[Any, None] = {}
    for read in reads:
        found.update(dict.fromkeys(value for value, count in Counter(read.value).items() if count > 1))
    return list(found)[:SHOWN]


def _unexpected(adds: Iterable[Operation], reads: Iterable[Operation]) -> list[Any]:
    """Read without a try that could have put it there. A refused element that was tried again otherwise is expected."""
    possible = {item.value for item in adds if item.result is not Result.FAIL}
    strange = {value: None for read in reads for value in read.value if value not in possible}
    return list(strange)[:SHOWN]


def _summary(details: Mapping[str, Any]) -> str:
    lost = f"{details['lost']} of {details['acknowledged']} acknowledged elements lost"
    if details["lost"]:
        lost += f" within {details['lost_seconds']:.2f} s, such as {details['lost_examples'][:3]}"
    more = [f"{details['stale']} stale"] if details["stale"] else []
    more += [f"{name} {details[name]}" for name in ("duplicates", "unexpected") if details[name]]
    return "; ".join([lost, *more])
