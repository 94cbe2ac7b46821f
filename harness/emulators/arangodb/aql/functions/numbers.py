"""Numeric functions."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.values import is_number, sort_key, tidy, to_number, truth
from harness.emulators.arangodb.errors import ArangoError

_MAX_LENGTH = 10_000_000


def _safe(function: Callable[..., float]) -> Callable[[Any], Any]:
    def call(value: Any) -> Any:
        try:
            return tidy(function(to_number(value)))
        except (ValueError, OverflowError, ZeroDivisionError):
            return None

    return call


def numbers(items: Any) -> list[Any]:
    """The numbers of an array without nulls. Raises AqlWarning 1561 or 1542."""
    if not isinstance(items, list):
        raise AqlWarning(1542, "invalid argument type in call to function, array expected")
    kept = [item for item in items if item is not None]
    if not all(is_number(item) for item in kept):
        raise AqlWarning(1561, "invalid arithmetic value")
    return kept


def power(base: Any, exponent: Any) -> Any:
    """`base` to the power of `exponent`."""
    try:
        result = math.pow(to_number(base), to_number(exponent))
    except (OverflowError, ValueError, ZeroDivisionError):
        return None
    return int(result) if result.is_integer() and abs(result) < 2**53 else tidy(result)


def round_(value: Any) -> int:
    """The nearest whole number, halves upwards."""
    return math.floor(to_number(value) + 0.5)


def average(items: Any) -> Any:
    """The mean or null."""
    kept = numbers(items)
    return sum(kept) / len(kept) if kept else None


def median(items: Any) -> Any:
    """The middle value or null."""
    kept = sorted(numbers(items))
    if not kept:
        return None
    middle = len(kept) // 2
    return kept[middle] if len(kept) % 2 else (kept[middle - 1] + kept[middle]) / 2


def percentile(items: Any, n: Any, method: Any = "rank") -> Any:
    """The nth percentile by rank or interpolation, or null."""
    kept, share = sorted(numbers(items)), to_number(n)
    if not kept or not 0 < share <= 100:
        return None
    if method == "interpolation":
        at = share / 100 * (len(kept) + 1)
        low = math.floor(at)
        if low < 1 or low >= len(kept):
            return kept[0] if low < 1 else kept[-1]
        return kept[low - 1] + (at - low) * (kept[low] - kept[low - 1])
    return kept[min(max(math.ceil(share / 100 * len(kept)), 1), len(kept)) - 1]


def _variance(items: Any, sample: int) -> Any:
    kept = numbers(items)
    if len(kept) <= sample:
        return None
    mean = sum(kept) / len(kept)
    return sum((item - mean) ** 2 for item in kept) / (len(kept) - sample)


def _deviation(items: Any, sample: int) -> Any:
    variance = _variance(items, sample)
    return None if variance is None else math.sqrt(variance)


def range_(start: Any, stop: Any, step: Any = None) -> list[Any]:
    """From start to stop in steps. Raises AqlWarning 1542 for a step that never arrives."""
    if step is None:
        first, last = math.trunc(to_number(start)), math.trunc(to_number(stop))
        jump: float = 1 if first <= last else -1
    else:
        first, last, jump = to_number(start), to_number(stop), to_number(step)  # type: ignore[assignment]
    if jump == 0 or (jump > 0 and first > last) or (jump < 0 and first < last):
        raise AqlWarning(1542, "invalid argument type in call to function 'RANGE()'")
    if abs(last - first) / abs(jump) > _MAX_LENGTH:
        raise ArangoError(1504, "number out of range")
    return [first + jump * at for at in range(math.floor((last - first) / jump + 1e-9) + 1)]


def in_range(value: Any, low: Any, high: Any, with_low: Any, with_high: Any) -> bool:
    """Whether the value lies between two others."""
    key, first, last = sort_key(value), sort_key(low), sort_key(high)
    above = key >= first if truth(with_low) else key > first
    return above and (key <= last if truth(with_high) else key < last)


def _extreme(pick: Callable[..., Any]) -> Callable[[Any], Any]:
    def choose(items: Any) -> Any:
        if not isinstance(items, list):
            raise AqlWarning(1542, "invalid argument type in call to function, array expected")
        return pick((item for item in items if item is not None), key=sort_key, default=None)

    return choose


def _bits(fold: Callable[[int, int], int]) -> Callable[..., Any]:
    def combine(one: Any, two: Any = None) -> Any:
        values = numbers(one) if isinstance(one, list) else numbers([one, two])
        result = None
        for value in values:
            result = int(value) if result is None else fold(result, int(value))
        return result

    return combine


NUMBERS: Mapping[str, Callable[..., Any]] = {
    "ABS": _safe(abs),
    "CEIL": _safe(math.ceil),
    "FLOOR": _safe(math.floor),
    "ROUND": round_,
    "SQRT": _safe(math.sqrt),
    "POW": power,
    "EXP": _safe(math.exp),
    "EXP2": _safe(lambda value: 2.0**value),
    "LOG": _safe(math.log),
    "LOG2": _safe(math.log2),
    "LOG10": _safe(math.log10),
    "SIN": _safe(math.sin),
    "COS": _safe(math.cos),
    "TAN": _safe(math.tan),
    "ASIN": _safe(math.asin),
    "ACOS": _safe(math.acos),
    "ATAN": _safe(math.atan),
    "ATAN2": lambda y, x: math.atan2(to_number(y), to_number(x)),
    "DEGREES": _safe(math.degrees),
    "RADIANS": _safe(math.radians),
    "PI": lambda: math.pi,
    "RAND": random.random,
    "RANDOM": random.random,
    "MIN": _extreme(min),
    "MAX": _extreme(max),
    "SUM": lambda items: tidy(sum(numbers(items))),
    "PRODUCT": lambda items: tidy(math.prod(numbers(items))),
    "AVG": average,
    "AVERAGE": average,
    "MEDIAN": median,
    "PERCENTILE": percentile,
    "VARIANCE": lambda items: _variance(items, 0),
    "VARIANCE_POPULATION": lambda items: _variance(items, 0),
    "VARIANCE_SAMPLE": lambda items: _variance(items, 1),
    "STDDEV": lambda items: _deviation(items, 0),
    "STDDEV_POPULATION": lambda items: _deviation(items, 0),
    "STDDEV_SAMPLE": lambda items: _deviation(items, 1),
    "RANGE": range_,
    "IN_RANGE": in_range,
    "BIT_AND": _bits(lambda a, b: a & b),
    "BIT_OR": _bits(lambda a, b: a | b),
    "BIT_XOR": _bits(lambda a, b: a ^ b),
    "BIT_POPCOUNT": lambda value: int(to_number(value)).bit_count(),
    "BIT_TEST": lambda value, at: bool(int(to_number(value)) >> int(to_number(at)) & 1),
}
