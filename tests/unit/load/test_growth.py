"""Growth is told from noise, from a jump that stays, and from what nobody saw."""

from __future__ import annotations

import random

import pytest

from harness.load.growth import LEAST, Growth, judge, worst
from harness.model import Verdict
from harness.probes.usage import Usage

MIB = 1 << 20


def series(*megabytes: float, handles: int | None = 10) -> list[dict[str, Usage | None]]:
    return [{"redis": Usage(1, int(value * MIB), handles)} for value in megabytes]


def memory(*megabytes: float) -> Growth:
    return judge(series(*megabytes))[0]


def test_a_leak_is_found_and_named() -> None:
    found = memory(*(100 + 2 * n for n in range(60)))
    assert found.verdict is Verdict.INVALID
    assert str(found).startswith("redis: memory GROWS: 1")
    assert worst([found]) is Verdict.INVALID


def test_handles_that_are_never_given_back_are_found() -> None:
    leaking = [{"tempo": Usage(1, 50 * MIB, 20 + n)} for n in range(60)]
    growth = {one.measure: one.verdict for one in judge(leaking)}
    assert growth == {"memory": Verdict.VALID, "handles": Verdict.INVALID}


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_growth(seed: int) -> None:
    noise = random.Random(seed)
    assert memory(*(200 + noise.uniform(-40, 40) for _ in range(60))).verdict is Verdict.VALID


def test_a_warm_up_and_a_cache_that_filled_are_no_growth() -> None:
    assert memory(*(10 * n for n in range(15)), *[150.0] * 45).verdict is Verdict.VALID
    assert memory(*[100.0] * 35, *[180.0] * 25).verdict is Verdict.VALID


def test_a_little_of_much_is_no_growth() -> None:
    """A quarter of what it had, and sixteen MiB of a small one."""
    assert memory(*(1000 + 2 * n for n in range(60))).verdict is Verdict.VALID
    assert memory(*(5 + 0.2 * n for n in range(60))).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("samples", "cause"),
    [
        (series(*[9.0] * (LEAST - 1)), f"{LEAST - 1} samples, at least {LEAST} are needed"),
        ([{"redis": None}] * 40, "this machine does not show it"),
        ([*series(*[9.0] * 30), {"redis": None}], "missing in 1 of 31 samples"),
    ],
)
def test_what_was_not_seen_is_unknown(samples: list[dict[str, Usage | None]], cause: str) -> None:
    found = judge(samples)[0]
    assert (found.verdict, found.cause) == (Verdict.UNKNOWN, cause)
    assert cause in str(found)
    assert worst([found]) is Verdict.UNKNOWN


def test_handles_of_another_user_are_unknown_and_memory_is_judged() -> None:
    verdicts = [one.verdict for one in judge([{"redis": Usage(1, 9 * MIB, None)}] * 30)]
    assert verdicts == [Verdict.VALID, Verdict.UNKNOWN]


def test_nothing_is_not_sound() -> None:
    assert judge([]) == []
    assert worst([]) is Verdict.UNKNOWN
