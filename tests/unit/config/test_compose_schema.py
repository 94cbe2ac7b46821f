"""The small parsers below the compose models: each form that Compose allows, and words for what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import compose_schema as schema


@pytest.mark.parametrize(
    ("value", "seconds"), [("10s", 10), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), (5, 5), (0.5, 0.5), ("10us", 1e-5)]
)
def test_durations(value: Any, seconds: float) -> None:
    assert schema.duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "10", "s", "1x", "1m 30s", True, None])
def test_what_is_no_duration(value: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 10s or 1m30s"):
        schema.duration(value)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_any_duration_adds_up(hours: int, minutes: int, seconds: int) -> None:
    assert schema.duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize(
    ("value", "size"),
    [("64m", 64 << 20), ("1gb", 1 << 30), ("1.5k", 1536), (2048, 2048), ("3B", 3), (" 1 M ", 1 << 20)],
)
def test_sizes(value: Any, size: int) -> None:
    assert schema.size(value) == size


@pytest.mark.parametrize("value", ["much", "1t", "", "-1", None])
def test_what_is_no_size(value: Any) -> None:
    with pytest.raises(ValueError, match="expected a size such as 64m or 1gb"):
        schema.size(value)


def test_commands() -> None:
    assert schema.arguments(None) == ()
    assert schema.arguments("a 'b c'") == ("a", "b c")
    assert schema.arguments(["a", 1]) == ("a", "1")
    with pytest.raises(ValueError, match="expected a list or a string, found dict"):
        schema.arguments({})


def test_pairs() -> None:
    assert schema.pairs(["A=b=c", "D"]) == {"A": "b=c", "D": None}
    assert schema.pairs({"A": 1, "B": None, "C": "x"}) == {"A": "1", "B": None, "C": "x"}
    for wrong, told in (({"A": [1]}, "A: expected a single value"), (1, "found int")):
        with pytest.raises(ValueError, match=told):
            schema.pairs(wrong)


def test_conditions() -> None:
    assert schema.conditions(["a"]) == {"a": "service_started"}
    given = {"a": {"condition": "service_healthy", "restart": True}, "b": {}}
    assert schema.conditions(given) == {"a": "service_healthy", "b": "service_started"}
    for wrong in ({"a": "started"}, {"a": {"unknown": False}}, 3):
        with pytest.raises(ValueError, match="expected a"):
            schema.conditions(wrong)


def test_health_tests() -> None:
    assert schema.health_test("true") == ("CMD-SHELL", "true")
    assert schema.health_test(["CMD", "a", 1]) == ("CMD", "a", "1")
    for wrong in ([], ["a"], 3):
        with pytest.raises(ValueError, match="begins with CMD"):
            schema.health_test(wrong)


def test_every_key_without_effect_has_a_reason_and_no_meaning() -> None:
    assert all(schema.WITHOUT_EFFECT.values())
    fields = {field.alias or name for name, field in schema.Service.model_fields.items()}
    assert not fields & schema.WITHOUT_EFFECT.keys()
