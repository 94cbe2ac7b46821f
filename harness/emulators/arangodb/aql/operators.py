"""What AQL's operators do with values."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning, Context
from harness.emulators.arangodb.aql.values import equal, sort_key, tidy, to_number, to_string
from harness.emulators.arangodb.errors import ArangoError

_MAX_RANGE = 10_000_000


def compare(op: str, left: Any, right: Any) -> bool:
    """`<`, `<=`, `>` and `>=` in AQL's order."""
    a, b = sort_key(left), sort_key(right)
    if op == "<":
        return a < b
    if op == "<=":
        return a <= b
    return a > b if op == ">" else a >= b


def contains(value: Any, items: Any) -> bool:
    """`value IN items`; false when `items` is no array."""
    if not isinstance(items, list):
        return False
    if isinstance(value, str):
        return value in items
    return any(equal(value, item) for item in items)


@lru_cache(maxsize=256)
def like_pattern(pattern: str, insensitive: bool) -> re.Pattern[str]:
    """A LIKE pattern compiled: `%`, `_`, and backslash escapes."""
    out, letters = [], iter(pattern)
    for letter in letters:
        if letter == "\\":
            out.append(re.escape(next(letters, "\\")))
        else:
            out.append({"%": ".*", "_": "."}.get(letter) or re.escape(letter))
    return re.compile("".join(out), re.DOTALL | (re.IGNORECASE if insensitive else 0))


def like(text: Any, pattern: Any, insensitive: bool = False) -> bool:
    """`text LIKE pattern` over the whole text."""
    return like_pattern(to_string(pattern), insensitive).fullmatch(to_string(text)) is not None


@lru_cache(maxsize=256)
def regex(pattern: str, insensitive: bool = False) -> re.Pattern[str]:
    """A regular expression compiled. Raises AqlWarning 1543 for an invalid one."""
    try:
        return re.compile(pattern, re.IGNORECASE if insensitive else 0)
    except re.error:
        raise AqlWarning(1543, "invalid regex value") from None


def arithmetic(op: str, left: Any, right: Any, ctx: Context) -> int | float | None:
    """`+ - * / %` with casts to number; division by zero and overflow give null."""
    a, b = to_number(left), to_number(right)
    try:
        if op == "+":
            return _bounded(a + b)
        if op == "-":
            return _bounded(a - b)
        if op == "*":
            return _bounded(a * b)
        if b == 0:
            ctx.warn(1562, "division by zero")
            return None
        if op == "%":
            return _remainder(a, b)
        return tidy(_quotient(a, b))
    except OverflowError:
        return None


def _bounded(number: int | float) -> int | float | None:
    if isinstance(number, int) and not -(2**63) <= number < 2**63:
        return tidy(float(number))
    return tidy(number)


def _quotient(a: int | float, b: int | float) -> int | float:
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return a / b


def _remainder(a: int | float, b: int | float) -> int | float | None:
    if isinstance(a, int) and isinstance(b, int):
        return abs(a) % abs(b) * (-1 if a < 0 else 1)
    rest = abs(a) % abs(b)
    return tidy(-rest if a < 0 else rest)


def span(low: Any, high: Any) -> range:
    """`low..high`, both ends in it, falling when low > high."""
    first, last = int(to_number(low)), int(to_number(high))
    return range(first, last + 1) if first <= last else range(first, last - 1, -1)


def make_range(low: Any, high: Any) -> list[int]:
    """`low..high` as an array. Raises ArangoError 1504 for far too many numbers."""
    numbers = span(low, high)
    if len(numbers) > _MAX_RANGE:
        raise ArangoError(1504, "number out of range")
    return list(numbers)


def _matches(left: Any, right: Any) -> bool:
    return regex(to_string(right)).search(to_string(left)) is not None


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": lambda left, right: compare("<", left, right),
    "<=": lambda left, right: compare("<=", left, right),
    ">": lambda left, right: compare(">", left, right),
    ">=": lambda left, right: compare(">=", left, right),
    "IN": contains,
    "NOT IN": lambda left, right: not contains(left, right),
    "LIKE": like,
    "NOT LIKE": lambda left, right: not like(left, right),
    "=~": _matches,
    "!~": lambda left, right: not _matches(left, right),
}


def quantify(quantifier: str, at_least: Any, matching: int, total: int) -> bool:
    """Whether `matching` of `total` elements satisfy ALL, ANY, NONE, AT LEAST n, or a number or range."""
    if quantifier == "ALL":
        return matching == total
    if quantifier == "NONE":
        return matching == 0
    if quantifier == "AT LEAST":
        return matching >= to_number(at_least)
    if quantifier == "RANGE":
        return at_least[0] <= matching <= at_least[-1] if isinstance(at_least, list) else equal(matching, at_least)
    return matching > 0
