"""Histories: what is remembered of an operation, and how an error is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ReportError
from harness.experiments.history import History, Operation, Refused, Result, oks, read


def broken() -> None:
    raise TimeoutError("too slow")


def refused() -> None:
    raise Refused("held")


def test_an_answer_is_kept_where_no_value_is_given() -> None:
    history = History()
    assert history.perform("read", "c", "k", None, lambda: [1, 2]).value == [1, 2]
    assert history.perform("add", "c", "k", 3, lambda: True).value == 3


def test_an_error_is_info_unless_it_says_that_it_was_refused() -> None:
    history = History()
    assert history.perform("add", "c", "k", 1, broken).result is Result.INFO
    assert history.perform("add", "c", "k", 1, refused).result is Result.FAIL
    assert history.operations[0].error == "TimeoutError: too slow"


def test_an_actor_may_know_better() -> None:
    operation = History().perform("add", "c", "k", 1, broken, lambda error: Result.FAIL)
    assert operation.result is Result.FAIL


def test_time_is_taken_before_and_after_the_call() -> None:
    ticks = iter([10.0, 12.5])
    operation = History(clock=lambda: next(ticks), wall=lambda: 99.0).perform("add", "c", "k", 1, lambda: None)
    assert (operation.started, operation.ended, operation.wall) == (10.0, 12.5, 99.0)
    assert operation.seconds == 2.5


def test_since_finds_what_ended_later_even_when_threads_overtook_each_other() -> None:
    history = History()
    for ended in (1.0, 5.0, 3.0, 6.0, 2.9):
        history.append(Operation("add", "c", "k", ended, Result.OK, 0.0, ended))
    assert [item.value for item in history.since(3.0)] == [5.0, 3.0, 6.0]


def test_the_file_holds_what_memory_holds_and_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "h.jsonl"
    history = History(file)
    history.perform("add", "c", "k", 1, lambda: None)
    history.perform("add", "c", "k", 2, broken)
    history.close()
    history.close()
    with file.open("a") as appended:
        appended.write('{"kind": "add", "cl')
    assert tuple(read(file)) == history.operations


def test_damage_in_the_middle_of_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "h.jsonl"
    file.write_text("nonsense\n{}\n")
    with pytest.raises(ReportError, match="line 1 is no operation"):
        list(read(file))


def test_oks_are_the_acknowledged_of_the_named_kinds() -> None:
    made = [Operation(kind, "c", "k", 1, result, 0, 1) for kind in ("add", "read") for result in Result]
    assert [(item.kind, item.result) for item in oks(made, "read")] == [("read", Result.OK)]
    assert len(oks(made)) == 2
