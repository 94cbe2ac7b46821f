"""Callers that start in the same moment."""

from __future__ import annotations

import threading

import pytest

from harness.probes.at_once import at_once


def test_all_are_under_way_at_the_same_time_and_answers_keep_their_order() -> None:
    together = threading.Barrier(5)

    def work(number: int) -> int:
        together.wait(5)  # breaks when they come one after another
        return number * 10

    assert at_once(5, work) == [0, 10, 20, 30, 40]


def test_what_one_of_them_raises_is_raised() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise ValueError("second")
        return number

    with pytest.raises(ValueError, match="second"):
        at_once(3, work)
