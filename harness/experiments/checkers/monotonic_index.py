"""An index (Consul's X-Consul-Index, a stream's id, a config epoch) never goes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from harness.experiments.history import Operation, oks
from harness.experiments.verdicts import Finding
from harness.model import Verdict


@dataclass(frozen=True)
class MonotonicIndex:
    """`index` operations carry a number. Judged per key and client; with `everywhere`, also between clients: a read
    that began after another had ended may not show less."""

    name: ClassVar[str] = "monotonic-index"
    kinds: ClassVar[tuple[str, ...]] = ("index",)
    everywhere: bool = False

    def check(self, operations: Sequence[Operation]) -> Finding:
        """The first step back is told."""
        reads = oks(operations, "index")
        steps = list(self._back_everywhere(reads) if self.everywhere else _back_per_client(reads))
        details = {"reads": len(reads), "back": len(steps)}
        if not steps:
            return Finding(self.name, Verdict.VALID, f"{len(reads)} reads, never a step back", details)
        before, after = steps[0]
        summary = f"{len(steps)} steps back, such as {before.value} to {after.value} on {after.key} by {after.client}"
        return Finding(self.name, Verdict.INVALID, summary, details)

    def _back_everywhere(self, reads: Sequence[Operation]) -> list[tuple[Operation, Operation]]:
        """Each read against the highest one of its key that had ended before it began."""
        steps = []
        for key in dict.fromkeys(item.key for item in reads):
            mine = [item for item in reads if item.key == key]
            ended = sorted(mine, key=lambda item: item.ended)
            done, highest = 0, None
            for read in sorted(mine, key=lambda item: item.started):
                while done < len(ended) and ended[done].ended <= read.started:
                    highest = max(highest or ended[done], ended[done], key=lambda item: item.value)
                    done += 1
                if highest is not None and read.value < highest.value:
                    steps.append((highest, read))
        return steps


def _back_per_client(reads: Sequence[Operation]) -> list[tuple[Operation, Operation]]:
    steps = []
    for client, key in dict.fromkeys((item.client, item.key) for item in reads):
        mine = sorted(
            (item for item in reads if (item.client, item.key) == (client, key)), key=lambda item: item.started
        )
        steps += [(before, after) for before, after in pairwise(mine) if after.value < before.value]
    return steps
