"""Compose interpolation, against its specification's table and against a reference written the other way round."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.interpolation import InterpolationError, interpolate

SET = {"A": "a", "EMPTY": "", "B": "b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$A", "a"),
        ("${A}", "a"),
        ("x$A-y", "xa-y"),
        ("$UNSET", ""),
        ("${UNSET}", ""),
        ("$$A", "$A"),
        ("$${A}", "${A}"),
        ("${UNSET:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${UNSET-d}", "d"),
        ("${A:-d}", "a"),
        ("${A-d}", "a"),
        ("${A:+r}", "r"),
        ("${EMPTY:+r}", ""),
        ("${EMPTY+r}", "r"),
        ("${UNSET+r}", ""),
        ("${A:?no}", "a"),
        ("${EMPTY?no}", ""),
        ("${UNSET:-${B}}", "b"),
        ("${UNSET:-x${EMPTY:-${A}}y}", "xay"),
        ("${UNSET:-http://h:80/$B}", "http://h:80/b"),
        ("${UNSET:-}", ""),
    ],
)
def test_every_form_of_the_specification(text: str, expected: str) -> None:
    assert interpolate(text, SET) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("$", "expected a name, or $$"),
        ("a $1", "expected a name, or $$"),
        ("${A", "unclosed brace"),
        ("${}", "invalid name"),
        ("${1A}", "invalid name"),
        ("${A!x}", "invalid interpolation"),
        ("${UNSET:?set it}", "required variable UNSET is not set: set it"),
        ("${EMPTY:?}", "required variable EMPTY is not set: no message given"),
        ("${UNSET?set it}", "required variable UNSET"),
    ],
)
def test_what_is_malformed_or_missing_is_told(text: str, told: str) -> None:
    with pytest.raises(InterpolationError) as caught:
        interpolate(text, SET)
    assert told in str(caught.value)


def test_a_default_that_is_not_needed_is_not_read() -> None:
    assert interpolate("${A:-${MISSING:?never}}", SET) == "a"


# -- a generator of texts together with their meaning ------------------------------------------------------------------

names = st.sampled_from(["A", "EMPTY", "UNSET", "_x1"])
literals = st.text(alphabet="ab:/-?+ .", max_size=4)


def _meaning(form: tuple[str, str, tuple[str, str]]) -> tuple[str, str]:
    name, operator, (word, value) = form
    present, text = name in SET, SET.get(name, "")
    filled = bool(text) if operator.startswith(":") else present
    if operator.endswith("-"):
        return f"${{{name}{operator}{word}}}", text if filled else value
    if operator.endswith("+"):
        return f"${{{name}{operator}{word}}}", value if filled else ""
    return f"${{{name}}}", text


pieces = st.recursive(
    st.one_of(literals.map(lambda text: (text, text)), st.just(("$$", "$"))),
    lambda inner: st.one_of(
        st.tuples(names, st.sampled_from([":-", "-", ":+", "+", ""]), inner).map(_meaning),
        st.lists(inner, max_size=3).map(lambda parts: ("".join(p[0] for p in parts), "".join(p[1] for p in parts))),
    ),
    max_leaves=8,
)


@given(pieces)
def test_any_nesting_means_what_its_parts_mean(piece: tuple[str, str]) -> None:
    text, meaning = piece
    assert interpolate(text, SET) == meaning


@given(st.text(max_size=30))
def test_any_text_is_replaced_or_refused_in_words(text: str) -> None:
    told = ""
    try:
        assert "${" not in interpolate(text, SET) or "$$" in text
    except InterpolationError as error:
        told = str(error)
    assert not told or "$" in text


@given(st.text(max_size=30).filter(lambda text: "$" not in text))
def test_a_text_without_dollar_is_left_alone(text: str) -> None:
    assert interpolate(text, {}) == text
