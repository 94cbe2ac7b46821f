"""Every checker: a good history passes, each seeded bad one is rejected, and thin ones are unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from harness.experiments.checkers import (
    CHECKERS,
    Counter,
    Deadline,
    LinearizableRegister,
    MonotonicIndex,
    MutualExclusion,
    NeverChanges,
    OfKey,
    SetFull,
)
from harness.experiments.checkers.base import Checker, judge
from harness.experiments.history import Operation, Result
from harness.experiments.verdicts import Finding
from harness.model import Verdict
from tests.unit.rigs.core_rig import HARNESS
from tests.unit.rigs.history_rig import at, ok

FAIL, INFO = Result.FAIL, Result.INFO

GOOD: dict[str, tuple[Checker, list[Operation]]] = {
    "set-full": (SetFull(), [ok("add", 1, 0, 1), ok("add", 2, 1, 2), ok("read", [1, 2], 3, 4)]),
    "set-full, unknown add that happened": (
        SetFull(),
        [ok("add", 1, 0, 1), at("add", 2, 1, 2, INFO), ok("read", [1, 2], 3, 4)],
    ),
    "set-full, unknown add that did not": (
        SetFull(),
        [ok("add", 1, 0, 1), at("add", 2, 1, 2, INFO), ok("read", [1], 3, 4)],
    ),
    "set-full, added while the last read ran": (
        SetFull(),
        [ok("add", 1, 0, 1), ok("read", [1], 3, 5), ok("add", 2, 4, 4.5)],
    ),
    "set-full, allowed loss": (
        SetFull(most_lost_seconds=1.5),
        [ok("add", 1, 0, 1), ok("add", 2, 1, 2), ok("add", 3, 5, 6), ok("read", [3], 7, 8)],
    ),
    "set-full, stale where that is allowed": (
        SetFull(),
        [ok("add", 1, 0, 1), ok("read", [], 2, 3), ok("read", [1], 4, 5)],
    ),
    "counter": (Counter(), [ok("increment", 2, 0, 1), ok("increment", 3, 1, 2), ok("read", 5, 3, 4)]),
    "counter, one under way": (Counter(), [ok("increment", 2, 0, 5), ok("read", 2, 1, 2)]),
    "counter, unknown": (
        Counter(start=7),
        [at("increment", 2, 0, 1, INFO), ok("increment", 1, 0, 1), ok("read", 8, 2, 3)],
    ),
    "counter, down": (Counter(), [ok("increment", -2, 0, 1), at("increment", -1, 1, 2, INFO), ok("read", -3, 3, 4)]),
    "mutual-exclusion": (
        MutualExclusion(),
        [ok("acquire", 0, 0, 1, "a"), ok("release", 0, 2, 3, "a"), ok("acquire", 0, 2.5, 4, "b")],
    ),
    "mutual-exclusion, renewed": (
        MutualExclusion(),
        [
            ok("acquire", 0, 0, 1, "a"),
            ok("acquire", 0, 2, 3, "a"),
            ok("release", 0, 4, 5, "a"),
            ok("acquire", 0, 5, 6, "b"),
        ],
    ),
    "mutual-exclusion, refused acquire": (
        MutualExclusion(),
        [ok("acquire", 0, 0, 1, "a"), at("acquire", 0, 2, 3, FAIL, "b")],
    ),
    "mutual-exclusion, delay kept": (
        MutualExclusion(delay=2.0),
        [ok("acquire", 0, 0, 1, "a"), ok("die", 0, 5, 5, "a"), ok("acquire", 0, 6, 7, "b")],
    ),
    "monotonic-index": (MonotonicIndex(), [ok("index", 3, 0, 1), ok("index", 3, 1, 2), ok("index", 9, 2, 3)]),
    "monotonic-index, two clients apart": (MonotonicIndex(), [ok("index", 9, 0, 1, "a"), ok("index", 3, 2, 3, "b")]),
    "monotonic-index, everywhere": (
        MonotonicIndex(everywhere=True),
        [ok("index", 9, 0, 2, "a"), ok("index", 3, 1, 3, "b"), ok("index", 9, 4, 5, "b")],
    ),
    "linearizable-register": (LinearizableRegister(), [ok("write", 1, 0, 1), ok("read", 1, 2, 3)]),
    "linearizable-register, unknown write seen late": (
        LinearizableRegister(),
        [ok("write", 1, 0, 1), at("write", 2, 1, 2, INFO), ok("read", 1, 3, 4), ok("read", 2, 5, 6)],
    ),
    "linearizable-register, swap": (
        LinearizableRegister(),
        [ok("write", 1, 0, 1), ok("cas", (1, 2), 1, 2), ok("read", 2, 3, 4)],
    ),
}
GOOD["set-full, twice where that is allowed"] = (
    SetFull(at_least_once=True),
    [ok("add", 1, 0, 1), ok("read", [1, 1], 3, 4)],
)
GOOD["never-changes"] = (NeverChanges(), [ok("look", "a", 0, 1), ok("look", "a", 1, 2)])
GOOD["of-key"] = (OfKey("k", SetFull()), [ok("add", 1, 0, 1), ok("read", [1], 3, 4)])
GOOD["deadline"] = (Deadline(2.0), [ok("add", 1, 0, 1), at("add", 1, 0, 2, INFO)])
BAD: dict[str, tuple[Checker, list[Operation], str]] = {
    "set-full, lost": (
        SetFull(),
        [ok("add", 1, 0, 1), ok("add", 2, 1, 2.5), ok("read", [], 3, 4)],
        "2 of 2 acknowledged elements lost within 1.50 s",
    ),
    "set-full, more lost than allowed": (
        SetFull(most_lost_seconds=1.0),
        [ok("add", 1, 0, 1), ok("add", 2, 1, 3), ok("read", [], 4, 5)],
        "2 of 2",
    ),
    "set-full, twice": (SetFull(), [ok("add", 1, 0, 1), ok("read", [1, 1], 3, 4)], "duplicates [1]"),
    "set-full, from nowhere": (SetFull(), [ok("add", 1, 0, 1), ok("read", [1, 7], 3, 4)], "unexpected [7]"),
    "set-full, refused and there": (
        SetFull(),
        [ok("add", 1, 0, 1), at("add", 2, 1, 2, FAIL), ok("read", [1, 2], 3, 4)],
        "unexpected [2]",
    ),
    "set-full, stale": (
        SetFull(fresh=True),
        [ok("add", 1, 0, 1), ok("read", [], 2, 3), ok("read", [1], 4, 5)],
        "1 stale",
    ),
    "counter, too little": (Counter(), [ok("increment", 2, 0, 1), ok("read", 1, 3, 4)], "1 where 2 to 2"),
    "counter, too much": (
        Counter(),
        [ok("increment", 2, 0, 1), at("increment", 5, 0, 1, FAIL), ok("read", 7, 3, 4)],
        "7 where 2 to 2",
    ),
    "mutual-exclusion, two at once": (
        MutualExclusion(),
        [ok("acquire", 0, 0, 1, "a"), ok("acquire", 0, 2, 3, "b"), ok("release", 0, 5, 6, "a")],
        "b acquired while a held it",
    ),
    "mutual-exclusion, under a long hold": (
        MutualExclusion(),
        [ok("acquire", 0, 0, 1, "a"), ok("acquire", 0, 2, 3, "b"), ok("release", 0, 3, 4, "b"),
         ok("acquire", 0, 5, 6, "c"), ok("release", 0, 9, 9, "a")],
        "2 conflicts",
    ),
    "mutual-exclusion, too early": (
        MutualExclusion(delay=2.0),
        [ok("acquire", 0, 0, 1, "a"), ok("die", 0, 5, 5, "a"), ok("acquire", 0, 5.5, 6, "b")],
        "passed on 1.00 s after a died",
    ),
    "monotonic-index, back": (MonotonicIndex(), [ok("index", 9, 0, 1), ok("index", 3, 2, 3)], "9 to 3"),
    "monotonic-index, back elsewhere": (
        MonotonicIndex(everywhere=True),
        [ok("index", 9, 0, 1, "a"), ok("index", 3, 2, 3, "b")],
        "9 to 3",
    ),
    "linearizable-register, old value": (
        LinearizableRegister(),
        [ok("write", 1, 0, 1), ok("write", 2, 2, 3), ok("read", 1, 4, 5)],
        "no order",
    ),
    "linearizable-register, there and gone": (
        LinearizableRegister(),
        [at("write", 1, 0, 9, INFO), ok("write", 2, 0, 1), ok("read", 1, 2, 3), ok("read", 2, 4, 5),
         ok("read", 1, 6, 7)],
        "no order",
    ),
    "linearizable-register, swap that could not be": (
        LinearizableRegister(),
        [ok("write", 1, 0, 1), ok("cas", (3, 4), 2, 3), ok("read", 4, 4, 5)],
        "no order",
    ),
}  # fmt: skip

BAD["never-changes, it did"] = (
    NeverChanges(),
    [ok("look", "a", 0, 1), ok("look", "b", 1, 2)],
    "k was 'a' and became 'b'",
)
BAD["of-key, lost there"] = (OfKey("k", SetFull()), [ok("add", 1, 0, 1), ok("read", [], 3, 4)], "1 of 1")
BAD["deadline, a call that hung"] = (Deadline(2.0), [ok("add", 1, 0, 1), at("add", 1, 0, 9, INFO)], "slowest 9.000 s")


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_is_valid(name: str) -> None:
    checker, operations = GOOD[name]
    assert judge(checker, operations).verdict is Verdict.VALID, judge(checker, operations)


@pytest.mark.parametrize("name", BAD)
def test_a_seeded_bad_history_is_rejected(name: str) -> None:
    checker, operations, words = BAD[name]
    found = judge(checker, operations)
    assert found.verdict is Verdict.INVALID, found
    assert words in found.summary


@pytest.mark.parametrize("kind", CHECKERS, ids=lambda kind: kind.name)
def test_every_checker_has_a_good_and_a_bad_history(kind: type[Checker]) -> None:
    assert any(isinstance(checker, kind) for checker, _ in GOOD.values())
    assert any(isinstance(checker, kind) for checker, _, _ in BAD.values())


@pytest.mark.parametrize("kind", CHECKERS, ids=lambda kind: kind.name)
def test_an_empty_history_is_unknown(kind: type[Checker]) -> None:
    assert judge(kind(), []).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("kind", CHECKERS, ids=lambda kind: kind.name)
def test_too_few_acknowledged_operations_are_unknown(kind: type[Checker]) -> None:
    if not kind.kinds:
        return  # it judges whatever there is
    checker, operations = next(item for item in GOOD.values() if isinstance(item[0], kind))
    found = judge(checker, operations, least=100)
    assert found.verdict is Verdict.UNKNOWN
    assert "100 needed" in found.summary


def test_too_few_operations_hide_no_violation() -> None:
    checker, operations, _ = BAD["set-full, lost"]
    assert judge(checker, operations, least=100).verdict is Verdict.INVALID


def test_a_checker_that_crashes_is_unknown() -> None:
    class Broken:
        name: ClassVar[str] = "broken"
        kinds: ClassVar[tuple[str, ...]] = ()

        def check(self, operations: Sequence[Operation]) -> Finding:
            return Finding(self.name, Verdict.VALID, str(operations[99]))

    assert judge(Broken(), []).verdict is Verdict.UNKNOWN


def test_loss_is_told_with_count_and_window() -> None:
    details = (
        SetFull().check([*(ok("add", n, n, n + 0.5) for n in range(10)), ok("read", [0, 1, 8, 9], 20, 21)]).details
    )
    assert (details["lost"], details["lost_seconds"], details["lost_from"]) == (6, 5.0, 2.5)


def test_a_search_that_grows_too_large_is_unknown() -> None:
    concurrent: list[Operation] = [at("write", n, 0, 1, INFO) for n in range(12)]
    found = LinearizableRegister(most_states=50).check([*concurrent, ok("read", "never written", 2, 3)])
    assert found.verdict is Verdict.UNKNOWN
    assert "more than 50 states" in found.summary


def test_every_file_of_the_folder_is_registered() -> None:
    folder = HARNESS / "experiments" / "checkers"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "base"}
    assert {kind.__module__.rpartition(".")[2] for kind in CHECKERS} == files
    assert {kind.name.replace("-", "_") for kind in CHECKERS} == files


def test_names_are_nobody_elses() -> None:
    names: list[Any] = [kind.name for kind in CHECKERS]
    assert len(set(names)) == len(names)
