"""The error tree: drawn as it is, one exit code per branch, carried by name."""

from __future__ import annotations

import re

import pytest

from harness import errors
from harness.errors import EXIT_GREEN, EXIT_INTERRUPTED, EXIT_RED, HarnessError, all_errors, error_named

OURS = [error for error in all_errors() if error.__module__ == errors.__name__]
DRAWN = dict(re.findall(r"^    [|`+\- ]*(\w+) +(\d+)  ", errors.__doc__ or "", re.MULTILINE))


@pytest.mark.parametrize("error", OURS, ids=lambda error: error.__name__)
def test_every_error_has_its_line_in_the_drawing(error: type[HarnessError]) -> None:
    assert DRAWN[error.__name__] == str(error.exit_code)
    assert error.__doc__


def test_the_drawing_has_no_line_too_many() -> None:
    assert DRAWN.keys() == {error.__name__ for error in OURS}


def test_exit_codes_differ_between_branches_and_from_a_runs_own() -> None:
    codes = [HarnessError.exit_code, *(error.exit_code for error in HarnessError.__subclasses__())]
    assert len(set(codes)) == len(codes)
    assert not {EXIT_GREEN, EXIT_RED, EXIT_INTERRUPTED, 10, 20} & set(codes)


def test_a_message_ends_with_the_next_step() -> None:
    assert str(errors.UsageError("bad", "do this")) == "bad\n  -> do this"
    assert str(errors.UsageError("bad")) == "bad"


def test_a_class_is_found_by_name_and_the_base_for_any_other() -> None:
    assert error_named("NotReady") is errors.NotReady
    assert error_named("KeyError") is HarnessError
