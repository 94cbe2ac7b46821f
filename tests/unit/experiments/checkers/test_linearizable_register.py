"""The search against brute force: every order of every choice of unknown operations, on tiny histories."""

from __future__ import annotations

from itertools import permutations, product
from math import inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.experiments.checkers import Counter, LinearizableRegister, SetFull
from harness.experiments.history import Operation, Result
from harness.model import Verdict
from tests.unit.rigs.history_rig import at

VALUES = st.integers(0, 2)


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Up to five operations that overlap in all ways."""
    made = []
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["read", "write", "cas"]))
        value: Any = (draw(VALUES), draw(VALUES)) if kind == "cas" else draw(VALUES)
        started = draw(st.integers(0, 8))
        result = draw(st.sampled_from([Result.OK, Result.OK, Result.INFO, Result.FAIL]))
        made.append(at(kind, value, started, started + draw(st.integers(1, 5)), result))
    return made


def by_brute_force(operations: list[Operation]) -> bool:
    """Whether any subset of the unknown, with all of the acknowledged, has any order that explains it."""
    sure = [item for item in operations if item.ok]
    unsure = [item for item in operations if item.result is Result.INFO and item.kind != "read"]
    for choice in product([True, False], repeat=len(unsure)):
        chosen = sure + [item for item, taken in zip(unsure, choice, strict=True) if taken]
        if any(_respects_time(order) and _explains(order) for order in permutations(chosen)):
            return True
    return False


def _respects_time(order: tuple[Operation, ...]) -> bool:
    """No operation stands behind one that began after its end."""
    ends = [item.ended if item.ok else inf for item in order]
    return all(order[first].started <= ends[second] for second in range(len(order)) for first in range(second))


def _explains(order: tuple[Operation, ...]) -> bool:
    value: Any = 0
    for item in order:
        if item.kind == "read" and item.value != value:
            return False
        if item.kind == "write":
            value = item.value
        if item.kind == "cas":
            if item.value[0] != value:
                return False
            value = item.value[1]
    return True


@given(histories())
@settings(max_examples=400, deadline=None)
def test_the_search_agrees_with_brute_force(operations: list[Operation]) -> None:
    found = LinearizableRegister(initial=0).check(operations).verdict is Verdict.VALID
    assert found == by_brute_force(operations)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.data())
@settings(max_examples=100, deadline=None)
def test_set_full_finds_exactly_what_was_taken_away(acknowledged: list[bool], data: st.DataObject) -> None:
    adds = [at("add", n, n, n + 1, Result.OK if sure else Result.INFO) for n, sure in enumerate(acknowledged)]
    kept = data.draw(st.sets(st.sampled_from(range(len(adds)))))
    read = at("read", sorted(kept), 100, 101, Result.OK)
    expected = {item.value for item in adds if item.ok} - kept
    assert SetFull().check([*adds, read]).details["lost"] == len(expected)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=12), st.data())
@settings(max_examples=100, deadline=None)
def test_a_counter_that_really_counts_is_valid(steps: list[tuple[int, bool]], data: st.DataObject) -> None:
    """Each unknown increment happened or not; a read of what really was can never be called wrong."""
    made, value = [], 0
    for moment, (amount, sure) in enumerate(steps):
        made.append(at("increment", amount, moment, moment + 0.5, Result.OK if sure else Result.INFO))
        value += amount if sure or data.draw(st.booleans()) else 0
        made.append(at("read", value, moment + 0.6, moment + 0.7, Result.OK))
    assert Counter().check(made).verdict is Verdict.VALID
