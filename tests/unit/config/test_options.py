"""Each option is declared once, and its parser says what it expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import options
from harness.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("90s", 90), ("2m", 120), ("500ms", 0.5), ("1h", 3600), ("1.5s", 1.5), (".5", 0.5), (" 3s ", 3)],
)
def test_durations(text: str, value: float) -> None:
    assert options.seconds(text) == value


@pytest.mark.parametrize("text", ["soon", "-1", "-1s", "nan", "inf", "1d", "", "1.2.3", "²", "5 s 3"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 90, 90s, 2m or 500ms"):
        options.seconds(text)


@given(st.integers(0, 10**6), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("", 1)]))
def test_any_number_with_any_unit(number: int, unit: tuple[str, float]) -> None:
    assert options.seconds(f"{number}{unit[0]}") == pytest.approx(number * unit[1])


def test_switches() -> None:
    assert [options.boolean(text) for text in ("1", "YES", " on ", "0", "no", "")] == [True] * 3 + [False] * 3
    with pytest.raises(ValueError, match="expected true or false"):
        options.boolean("maybe")


def test_whole_numbers() -> None:
    assert options.whole(" 12 ") == 12
    for text in ("-1", "1.5", "²", ""):
        with pytest.raises(ValueError, match="expected a whole number"):
            options.whole(text)


def test_choices_name_what_is_allowed() -> None:
    parse = options.choice("a", "b")
    assert parse("a") == "a"
    with pytest.raises(ValueError, match="expected one of a, b"):
        parse("c")


def test_lists_and_paths() -> None:
    assert options.words(" a, b,,") == ("a", "b")
    assert options.paths("a,~/b") == (Path("a"), Path.home() / "b")
    with pytest.raises(ValueError, match="expected a path"):
        options.path("")


def test_a_binary_needs_a_kind_and_a_path() -> None:
    assert options.programs("consul=/opt/consul,redis=/r") == ("consul=/opt/consul", "redis=/r")
    for text in ("consul", "consul=", "=/opt"):
        with pytest.raises(ValueError, match="expected KIND=PATH"):
            options.programs(text)


def test_engines_are_addresses() -> None:
    named = "unix:///run/docker.sock, tcp://127.0.0.1:2375,https://h:2376,ssh://me@h,ssh://h:22/run/d.sock"
    assert options.engine_addresses(named) == tuple(text.strip() for text in named.split(","))
    for text in ("localhost:2375", "tcp://", "unix://run", "tcp://h:1/x", "ftp://h"):
        with pytest.raises(ValueError, match=r"expected addresses such as unix:///run/docker.sock, tcp://127"):
            options.engine_addresses(text)


def test_spellings_follow_from_the_name() -> None:
    option = options.option_named("ready_timeout")
    assert (option.flag, option.variable, option.is_switch) == ("--ready-timeout", "HARNESS_READY_TIMEOUT", False)
    assert options.option_named("gate").is_switch
    with pytest.raises(UsageError, match="unknown option 'gates': expected one of compose"):
        options.option_named("gates")


@pytest.mark.parametrize("option", options.OPTIONS, ids=lambda option: option.name)
def test_every_option_explains_itself(option: options.Option) -> None:
    assert option.help.endswith(".")
    assert option.is_switch or option.metavar
    assert option.variable not in options.INTERNAL_VARIABLES
