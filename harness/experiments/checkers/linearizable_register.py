"""A register behaves as if every operation happened at one moment between its start and its end.

The search of Wing and Gong with the memory of Lowe ("Testing for linearizability", 2017): states already tried with
the same operations done are not tried again. Exponential at worst, so it is for small histories and gives up as
unknown, never as valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

from harness.experiments.history import Operation, Result
from harness.experiments.verdicts import Finding
from harness.model import Verdict


class TooLarge(Exception):
    """The search was given up."""


@dataclass(frozen=True)
class LinearizableRegister:
    """`write` carries the value, `read` what was read, `cas` a pair (expected, new). One register per key.

    A `fail` did not happen and is left out, as is a read without an answer; an `info` write or cas may take effect at
    any moment from its start on, or never. `most_states` bounds the search of each key.
    """

    name: ClassVar[str] = "linearizable-register"
    kinds: ClassVar[tuple[str, ...]] = ("write", "read")
    initial: Any = None
    most_states: int = 200_000

    def check(self, operations: Sequence[Operation]) -> Finding:
        """Key by key; the first that has no order is told."""
        keys = list(dict.fromkeys(item.key for item in operations if item.kind in {"read", "write", "cas"}))
        given_up = []
        for key in keys:
            mine = [item for item in operations if item.key == key and _matters(item)]
            try:
                explained = has_order(mine, self.initial, self.most_states)
            except TooLarge:
                given_up.append(key)
                continue
            if not explained:
                summary = f"{key}: no order of its {len(mine)} operations explains what was read"
                return Finding(self.name, Verdict.INVALID, summary, {"key": key, "operations": len(mine)})
        if given_up:
            summary = f"{given_up[0]}: more than {self.most_states} states; try a shorter history"
            return Finding(self.name, Verdict.UNKNOWN, summary, {"given_up": given_up})
        return Finding(self.name, Verdict.VALID, f"{len(keys)} registers, each with an order", {"keys": len(keys)})


def _matters(operation: Operation) -> bool:
    if operation.kind == "read":
        return operation.ok
    return operation.kind in {"write", "cas"} and operation.result is not Result.FAIL


def has_order(operations: Sequence[Operation], initial: Any, most_states: int) -> bool:
    """Whether one order of all acknowledged operations (and any of the unknown ones) explains every answer."""
    ends = [item.ended if item.ok else inf for item in operations]
    needed = sum(1 << index for index, item in enumerate(operations) if item.ok)
    tried: set[tuple[int, Any]] = set()
    waiting = [(0, initial)]
    while waiting:
        done, value = waiting.pop()
        if done & needed == needed:
            return True
        if (done, value) in tried:
            continue
        if len(tried) >= most_states:
            raise TooLarge
        tried.add((done, value))
        left = [index for index in range(len(operations)) if not done >> index & 1]
        horizon = min(ends[index] for index in left)
        for index in left:  # only what began before everything that is left had to be over can come next
            if operations[index].started <= horizon:
                fits, after = _apply(operations[index], value)
                if fits:
                    waiting.append((done | 1 << index, after))
    return False


def _apply(operation: Operation, value: Any) -> tuple[bool, Any]:
    if operation.kind == "read":
        return operation.value == value, value
    if operation.kind == "write":
        return True, operation.value
    expected, new = operation.value
    return expected == value, new
