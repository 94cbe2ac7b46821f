"""A machine that stood still explains what was late, and nothing else."""

from __future__ import annotations

import itertools
import threading

import pytest

from harness.experiments.standstill import STILL, TICK, Standstill, excused
from harness.experiments.verdicts import Finding
from harness.model import Verdict

LATE = Finding("deadline", Verdict.INVALID, "2 of 55 operations over 1 s", timed=True)
LOST = Finding("set-full", Verdict.INVALID, "3 of 48 acknowledged elements lost")


def test_what_was_late_while_the_machine_stood_still_is_unknown() -> None:
    (found,) = excused([LATE], 10.4)
    assert (found.verdict, found.judge) == (Verdict.UNKNOWN, "deadline")
    assert found.summary == "2 of 55 operations over 1 s; this machine itself stood still for 10.4 s, run it again"


@pytest.mark.parametrize(
    ("found", "longest"),
    [(LATE, STILL / 2), (LOST, 10.4), (Finding("undo", Verdict.VALID, "applied in 0.1 s", timed=True), 10.4)],
    ids=["it did not stand still", "lost is lost", "a pass is a pass"],
)
def test_nothing_else_is_excused(found: Finding, longest: float) -> None:
    assert excused([found], longest) == [found]


def clock_of(gaps: list[float], over: threading.Event) -> itertools.chain[float]:
    """Moments with these gaps between them; `over` is set with the last one, which stays."""
    moments = list(itertools.accumulate([0.0, *gaps]))

    def last() -> float:
        over.set()
        return moments[-1]

    return itertools.chain(moments, iter(last, None))


def test_the_longest_look_that_came_too_late_is_kept() -> None:
    over = threading.Event()
    moments = clock_of([TICK, TICK + 3.0, TICK + 1.0], over)
    watch = Standstill(lambda: next(moments))
    watch.start()
    watch.start()
    assert over.wait(5)
    watch.stop()
    assert watch.longest == pytest.approx(3.0)


def test_one_that_was_never_started_can_be_stopped() -> None:
    watch = Standstill()
    watch.stop()
    assert watch.longest == 0.0
