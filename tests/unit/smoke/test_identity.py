"""The id of a smoke run tells when it began; only an id of ours, over an hour old, is dead."""

from __future__ import annotations

import re

import pytest

from harness.smoke.identity import DEAD_AFTER, TTL, begun, is_dead, is_id, new_id

MOMENT = 1_795_239_192.0  # 2026-11-21 05:33:12 UTC


def test_an_id_tells_when_its_run_began_and_differs_from_every_other() -> None:
    first, second = new_id(MOMENT), new_id(MOMENT)
    assert re.fullmatch(r"20261121-053312-[0-9a-f]{6}", first)
    assert begun(first) == begun(second) == MOMENT
    assert first != second


@pytest.mark.parametrize(
    "text",
    ["", "orders", "20261121-053312", "20261321-053312-a1b2c3", "20261121-053312-A1B2C3", "x20261121-053312-a1b2c3"],
)
def test_what_is_no_id_belongs_to_somebody_else_and_is_never_dead(text: str) -> None:
    assert not is_id(text)
    assert not is_dead(text, MOMENT + 1e9)


@pytest.mark.parametrize(("age", "dead"), [(0, False), (DEAD_AFTER, False), (DEAD_AFTER + 1, True), (-60, False)])
def test_a_run_is_dead_an_hour_after_it_began(age: float, dead: bool) -> None:
    assert is_dead(new_id(MOMENT), MOMENT + age) is dead


def test_what_expires_is_gone_before_its_run_is_taken_for_dead() -> None:
    assert TTL < DEAD_AFTER
