"""Go durations, read and printed: what every emulator of a Go program shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulators.go_durations import SECOND as S
from harness.emulators.go_durations import UNITS, format_duration, format_seconds, parse_duration, parse_seconds


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("10s", 10 * S),
        ("1h2m3s", 3723 * S),
        ("1.5s", S * 3 // 2),
        ("500ms", S // 2),
        ("-1s", -S),
        ("0", 0),
        ("1us", 1000),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("abc", 'time: invalid duration "abc"'),
        ("", 'time: invalid duration ""'),
        ("10", 'time: missing unit in duration "10"'),
        ("10x", 'time: unknown unit "x" in duration "10x"'),
    ],
)
def test_bad_durations(text: str, error: str) -> None:
    with pytest.raises(ValueError, match="time") as refused:
        parse_duration(text)
    assert str(refused.value) == error


@given(st.integers(min_value=0, max_value=10**15))
def test_a_printed_duration_reads_back(nanoseconds: int) -> None:
    read = parse_duration(format_duration(nanoseconds))
    assert abs(read - nanoseconds) <= max(1, nanoseconds // 10**9)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (266_666_666, "266.666666ms"),
        (48 * S + 961_821_232, "48.961821232s"),
        (60 * S, "1m0s"),
        (86400 * S, "24h0m0s"),
        (-S, "-1s"),
    ],
)
def test_printed_as_go_does(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text


def test_more_units_can_be_given() -> None:
    """Prometheus durations know days; Go's do not."""
    assert parse_duration("1d", {**UNITS, "d": 86400 * S}) == 86400 * S
    with pytest.raises(ValueError, match="unknown unit"):
        parse_duration("1d")


def test_in_seconds() -> None:
    """What configuration is held in."""
    assert parse_seconds("1m30s") == 90.0
    assert parse_seconds("200ms") == 0.2
    assert format_seconds(0.5) == "500ms"
