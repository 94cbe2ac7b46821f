"""What AQL's operators do with values (AQL manual: "Operators")."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.values import equal, sort_key, tidy, to_number, to_string
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.patterns import alike, occurs

_MAX_RANGE = 10_000_000


def contains(value: Any, items: Any) -> bool:
    """`value IN items`; false when `items` is no array."""
    if not isinstance(items, list):
        return False
    return value in items if isinstance(value, str) else any(equal(value, item) for item in items)


def like(text: Any, pattern: Any, insensitive: bool = False) -> bool:
    """`text LIKE pattern` over the whole text, with `%`, `_` and backslash escapes."""
    return alike(to_string(pattern), to_string(text), insensitive)


def found(pattern: str, text: str, insensitive: bool = False) -> bool:
    """Whether a regular expression occurs in the text. Raises AqlWarning 1543 for an invalid one."""
    try:
        return occurs(pattern, text, insensitive)
    except re.error:
        raise AqlWarning(1543, "invalid regex value") from None


def _quotient(a: int | float, b: int | float) -> int | float | None:
    if b == 0:
        raise AqlWarning(1562, "division by zero")
    return a // b if isinstance(a, int) and isinstance(b, int) and a % b == 0 else a / b


def _remainder(a: int | float, b: int | float) -> int | float:
    if b == 0:
        raise AqlWarning(1562, "division by zero")
    return abs(a) % abs(b) * (-1 if a < 0 else 1)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "%": _remainder,
}


def arithmetic(op: str, left: Any, right: Any) -> int | float | None:
    """`+ - * / %` with casts to number; overflow gives null. Raises AqlWarning 1562 for a division by zero."""
    try:
        result = _ARITHMETIC[op](to_number(left), to_number(right))
        return tidy(result if -(2**63) <= result < 2**63 else float(result))
    except OverflowError:
        return None


def span(low: Any, high: Any) -> range:
    """`low..high`, both ends in it, falling when low > high."""
    first, last = int(to_number(low)), int(to_number(high))
    return range(first, last + 1) if first <= last else range(first, last - 1, -1)


def make_range(low: Any, high: Any) -> list[int]:
    """`low..high` as an array. Raises ArangoError 1504 for far too many numbers."""
    numbers = span(low, high)
    if abs(numbers.stop - numbers.start) > _MAX_RANGE:
        raise ArangoError(1504, "number out of range")
    return list(numbers)


def _matches(left: Any, right: Any) -> bool:
    return found(to_string(right), to_string(left))


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": lambda left, right: sort_key(left) < sort_key(right),
    "<=": lambda left, right: sort_key(left) <= sort_key(right),
    ">": lambda left, right: sort_key(left) > sort_key(right),
    ">=": lambda left, right: sort_key(left) >= sort_key(right),
    "IN": contains,
    "NOT IN": lambda left, right: not contains(left, right),
    "LIKE": like,
    "NOT LIKE": lambda left, right: not like(left, right),
    "=~": _matches,
    "!~": lambda left, right: not _matches(left, right),
}
