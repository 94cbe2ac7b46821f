"""Verdicts: the worst wins, and a judge that crashes knows nothing."""

from __future__ import annotations

import pytest

from harness.experiments.verdicts import Finding, guarded, worst
from harness.model import Verdict

V, U, I = Verdict.VALID, Verdict.UNKNOWN, Verdict.INVALID  # noqa: E741


@pytest.mark.parametrize(
    ("given", "expected"), [([V, V], V), ([V, U], U), ([U, I, V], I), ([I, U], I), ([], U)], ids=str
)
def test_the_worst_wins_and_nothing_judged_is_unknown(given: list[Verdict], expected: Verdict) -> None:
    assert worst(given) is expected


def test_a_crashed_checker_is_unknown_and_says_why() -> None:
    def crash() -> Finding:
        raise KeyError("gone")

    found = guarded("mine", crash)
    assert found.verdict is Verdict.UNKNOWN
    assert "KeyError: 'gone'" in str(found)
