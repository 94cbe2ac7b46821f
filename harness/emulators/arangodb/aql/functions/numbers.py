"""Numeric functions (AQL manual: "Numeric functions")."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.functions.arrays import array
from harness.emulators.arangodb.aql.operators import make_range
from harness.emulators.arangodb.aql.values import is_number, sort_key, tidy, to_number
from harness.emulators.arangodb.errors import NotEmulatedError

Numbers = list[Any]


def _safe(function: Callable[..., float], *values: Any) -> Any:
    """A function of numbers, null where it has no result."""
    try:
        result = tidy(function(*map(to_number, values)))
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    return int(result) if isinstance(result, float) and result.is_integer() and abs(result) < 2**53 else result


def _numbers(items: Any) -> Numbers:
    """The numbers of an array without nulls. Raises AqlWarning 1561 or 1542."""
    kept = [item for item in array(items) if item is not None]
    if not all(is_number(item) for item in kept):
        raise AqlWarning(1561, "invalid arithmetic value")
    return kept


def mean(kept: Numbers) -> Any:
    """The mean, or null of nothing."""
    return sum(kept) / len(kept) if kept else None


def extreme(pick: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    """`min` or `max` in AQL's order, without nulls."""
    return lambda items: pick((item for item in items if item is not None), key=sort_key, default=None)


def _percentile(items: Any, n: Any, method: Any = "rank") -> Any:
    """The nth percentile by rank, or null."""
    if method != "rank":
        raise NotEmulatedError(f"PERCENTILE() by {method}")
    kept, share = sorted(_numbers(items)), to_number(n)
    return kept[math.ceil(share / 100 * len(kept)) - 1] if kept and 0 < share <= 100 else None


def _median(items: Any) -> Any:
    kept = sorted(_numbers(items))
    middle = kept[(len(kept) - 1) // 2 : len(kept) // 2 + 1]
    return middle[0] if len(middle) == 1 else mean(middle)


def _range(start: Any, stop: Any, step: Any = None) -> list[Any]:
    """From start to stop in steps. Raises AqlWarning 1542 for a step that never arrives, ArangoError 1504."""
    if step is None:
        return make_range(start, stop)
    first, last, jump = to_number(start), to_number(stop), to_number(step)
    if jump == 0 or (last - first) / jump < 0:
        raise AqlWarning(1542, "invalid argument type in call to function 'RANGE()'")
    return [first + jump * at for at in make_range(0, math.floor((last - first) / jump + 1e-9))]


NUMBERS: Mapping[str, Callable[..., Any]] = {
    "ABS": lambda value: _safe(abs, value),
    "CEIL": lambda value: _safe(math.ceil, value),
    "FLOOR": lambda value: _safe(math.floor, value),
    "ROUND": lambda value: math.floor(to_number(value) + 0.5),
    "SQRT": lambda value: _safe(math.sqrt, value),
    "LOG": lambda value: _safe(math.log, value),
    "POW": lambda base, exponent: _safe(math.pow, base, exponent),
    "RAND": lambda: random.random(),
    "MIN": lambda items: extreme(min)(array(items)),
    "MAX": lambda items: extreme(max)(array(items)),
    "SUM": lambda items: tidy(sum(_numbers(items))),
    "AVG": lambda items: mean(_numbers(items)),
    "AVERAGE": lambda items: mean(_numbers(items)),
    "MEDIAN": _median,
    "PERCENTILE": _percentile,
    "RANGE": _range,
}
