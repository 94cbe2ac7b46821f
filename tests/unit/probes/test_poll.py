"""Polling: one deadline, the last thing seen, over at once when the asked one has died."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from harness.errors import NotReady, ServiceExited
from harness.probes.poll import Deadline, NotYet, poll


def test_a_first_yes_is_the_answer() -> None:
    assert poll(lambda: 42, Deadline.after(0), "x") == 42


def test_it_asks_until_the_answer_is_there() -> None:
    answers: Iterator[Exception | str] = iter([NotYet("no"), OSError("refused"), "yes"])

    def question() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert poll(question, Deadline.after(5), "x", interval=0.001) == "yes"


def test_at_the_deadline_the_last_thing_seen_is_told() -> None:
    seen = iter(range(1000))

    def question() -> None:
        raise NotYet(f"seen {next(seen)}")

    with pytest.raises(NotReady, match=r"^redis: not after 0\.\d s and (\d+) attempts; last seen: seen \d+$"):
        poll(question, Deadline.after(0.03), "redis", interval=0.005)
    assert next(seen) > 2


def test_an_exception_without_words_is_named() -> None:
    def question() -> None:
        raise NotYet

    with pytest.raises(NotReady, match="1 attempts; last seen: NotYet"):
        poll(question, Deadline.after(0), "x")


def test_any_other_exception_is_the_questions_own_fault() -> None:
    with pytest.raises(ZeroDivisionError):
        poll(lambda: 1 / 0, Deadline.after(5), "x")


def test_a_death_ends_the_wait_at_once() -> None:
    alive = iter(["", "", "exited with code 3"])

    def question() -> None:
        raise NotYet("no")

    started = time.monotonic()
    with pytest.raises(ServiceExited, match="redis: exited with code 3"):
        poll(question, Deadline.after(60), "redis", lambda: next(alive), interval=0.001)
    assert time.monotonic() - started < 5


def test_a_deadline_runs_out_and_stays_out() -> None:
    deadline = Deadline.after(60)
    assert 59 < deadline.left <= 60
    assert not deadline.over
    assert Deadline.after(-1).left == 0
    assert Deadline.after(-1).over
