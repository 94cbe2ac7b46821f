"""Regular expressions of Go's kind: what is read, what is refused, and that none of them takes long."""

from __future__ import annotations

import pytest

from harness.emulators import regexps
from harness.emulators.regexps import InvalidRegexpError, fits, occurs

EVIL = "(a+)+$"
"""A backtracking engine tries 2^n ways to match this with `a` n times and something else."""


def test_the_whole_text_or_some_part_of_it() -> None:
    assert fits("svc.*", "svc0")
    assert not fits("svc", "svc0")
    assert occurs("vc", "svc0")


def test_letters_of_either_case_and_dots_for_newlines_only_when_asked() -> None:
    assert fits("ÄB", "äb", insensitive=True)
    assert not fits("ab", "AB")
    assert fits("a.b", "a\nb", dot_newline=True)
    assert not fits("a.b", "a\nb")


@pytest.mark.parametrize("pattern", ["[", "(?=a)", r"(a)\1", "a++", "a**", "a{1001}"])
def test_what_go_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRegexpError):
        regexps.check(pattern)


@pytest.mark.parametrize("pattern", [r"\p{Greek}", "(?P<name>a)", r"\Qa.b\E", "[[:alpha:]]", "(?i)a", r"a\z"])
def test_what_go_reads_is_read(pattern: str) -> None:
    regexps.check(pattern)


@pytest.mark.timeout(20)
def test_no_pattern_takes_more_than_the_texts_length() -> None:
    assert not occurs(EVIL, "a" * 100_000 + "!")


def test_half_a_surrogate_pair_is_a_text_too() -> None:
    assert fits("a.", "a\ud800")
    assert occurs("\ud800", "a\udfff")
    assert not occurs("\ud800", "a")


def test_nothing_is_printed_for_a_bad_pattern(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidRegexpError, match="missing"):
        regexps.check("[x")
    assert capfd.readouterr() == ("", "")
