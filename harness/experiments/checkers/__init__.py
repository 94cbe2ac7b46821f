"""Checkers: one file each, pure functions of a history. A new one is a file here and a line in `CHECKERS`."""

from __future__ import annotations

from harness.experiments.checkers.base import Checker
from harness.experiments.checkers.counter import Counter
from harness.experiments.checkers.deadline import Deadline
from harness.experiments.checkers.linearizable_register import LinearizableRegister
from harness.experiments.checkers.monotonic_index import MonotonicIndex
from harness.experiments.checkers.mutual_exclusion import MutualExclusion
from harness.experiments.checkers.never_changes import NeverChanges
from harness.experiments.checkers.of_key import OfKey
from harness.experiments.checkers.set_full import SetFull

CHECKERS: tuple[type[Checker], ...] = (
    SetFull,
    Counter,
    MutualExclusion,
    MonotonicIndex,
    LinearizableRegister,
    Deadline,
    NeverChanges,
    OfKey,
)

__all__ = [
    "CHECKERS",
    "Checker",
    "Counter",
    "Deadline",
    "LinearizableRegister",
    "MonotonicIndex",
    "MutualExclusion",
    "NeverChanges",
    "OfKey",
    "SetFull",
]
