"""AQL values: their order, truth, casts and type names (AQL manual: "Type and value order", "Type cast")."""

from __future__ import annotations

import json
import math
import re
from typing import Any

SortKey = tuple[Any, ...]


class _Backwards:
    """An attribute name that sorts backwards: the object that has the smaller name is the greater one."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __lt__(self, other: _Backwards) -> bool:
        return other.name < self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


NULL_KEY: SortKey = (0,)


def sort_key(value: Any) -> SortKey:
    """A Python-comparable key with AQL's order: null < bool < number < string < array < object.

    A missing array element or attribute counts as null, so trailing nulls and null attributes are left out.
    """
    kind = type(value)
    if kind is str:
        return (3, value)
    if kind is int or kind is float:
        return (2, value)
    if value is None:
        return NULL_KEY
    if kind is bool:
        return (1, value)
    if kind is dict:
        items = sorted(name for name, item in value.items() if item is not None)
        return (5, tuple((_Backwards(name), sort_key(value[name])) for name in items))
    keys = [sort_key(item) for item in value]
    while keys and keys[-1] == NULL_KEY:
        keys.pop()
    return (4, tuple(keys))


def equal(left: Any, right: Any) -> bool:
    """AQL's `==`: no coercion, 1 == 1.0, {} == {a: null}."""
    if type(left) is type(right) and type(left) in (str, int, float, bool):
        return bool(left == right)
    return sort_key(left) == sort_key(right)


def unique(items: list[Any]) -> list[Any]:
    """The items without repetitions, first occurrences kept."""
    return list({sort_key(item): item for item in reversed(items)}.values())[::-1]


def truth(value: Any) -> bool:
    """AQL's truth: null, false, 0 and "" are false; empty arrays and objects are true."""
    return bool(value) or isinstance(value, list | dict)


def is_number(value: Any) -> bool:
    """Whether a value is a number; booleans are not."""
    return type(value) is int or type(value) is float


_NUMBER = re.compile(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*\Z")


def to_number(value: Any) -> int | float:
    """The TO_NUMBER cast: null 0, true 1, unreadable text 0, an array of one element that element, others 0."""
    if type(value) is int or type(value) is float:
        return value
    if value is True:
        return 1
    if isinstance(value, str) and _NUMBER.match(value):
        number = float(tidy(float(value)) or 0)
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return to_number(value[0]) if isinstance(value, list) and len(value) == 1 else 0


def tidy(number: float) -> int | float | None:
    """A result of arithmetic as AQL keeps it: NaN and infinity become null."""
    return number if math.isfinite(number) else None


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("number out of range")
    return number


def _whole(text: str) -> int | float:
    number = int(text) if len(text) <= 20 else 2**64
    return number if -(2**63) <= number < 2**64 else _finite(text)


_JSON = json.JSONDecoder(parse_float=_finite, parse_int=_whole, parse_constant=_finite)


def read_json(text: str) -> Any:
    """The value of a JSON text; a whole number of more than 64 bits is a double. Raises ValueError, RecursionError."""
    return _JSON.decode(text)


def to_string(value: Any) -> str:
    """The TO_STRING cast: null is "", 1.0 is "1" (no fraction is printed), arrays and objects are JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        value = int(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def to_array(value: Any) -> list[Any]:
    """The TO_ARRAY cast: null is [], an object its values, anything else wrapped."""
    if isinstance(value, list):
        return value
    if value is None:
        return []
    return list(value.values()) if isinstance(value, dict) else [value]


_TYPE_NAMES = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}


def type_name(value: Any) -> str:
    """The TYPENAME of a value."""
    return _TYPE_NAMES.get(type(value), "null")
