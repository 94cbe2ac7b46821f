"""Array functions (AQL manual: "Array functions")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.operators import contains
from harness.emulators.arangodb.aql.values import equal, sort_key, to_array, to_number, to_string, truth, unique


def array(value: Any) -> list[Any]:
    """The value, which must be an array. Raises AqlWarning 1542."""
    if not isinstance(value, list):
        raise AqlWarning(1542, "invalid argument type in call to function, array expected")
    return value


def _length(value: Any) -> int:
    if isinstance(value, list | dict):
        return len(value)
    return int(value) if isinstance(value, bool) else len(to_string(value))


def _nth(items: Any, at: Any) -> Any:
    index = int(to_number(at))
    return array(items)[index] if 0 <= index < len(array(items)) else None


def _push(items: Any, value: Any, once: Any = False) -> Any:
    if items is None:
        return [value]
    return array(items) if truth(once) and contains(value, items) else [*array(items), value]


def _append(items: Any, values: Any, once: Any = False) -> Any:
    joined = [*to_array(items), *to_array(values)]
    return unique(joined) if truth(once) else joined


def _union(one: Any, two: Any, *more: Any) -> list[Any]:
    return list(chain.from_iterable(array(items) for items in (one, two, *more)))


def _intersection(one: Any, two: Any, *more: Any) -> list[Any]:
    keys = [{sort_key(item) for item in array(items)} for items in (two, *more)]
    return [item for item in unique(array(one)) if all(sort_key(item) in other for other in keys)]


def _minus(one: Any, two: Any, *more: Any) -> list[Any]:
    gone = {sort_key(item) for items in (two, *more) for item in array(items)}
    return [item for item in unique(array(one)) if sort_key(item) not in gone]


def flatten(items: Any, depth: Any = 1) -> list[Any]:
    """With so many levels of nesting dissolved."""
    level = int(to_number(depth))
    out: list[Any] = []
    for item in array(items):
        out.extend(flatten(item, level - 1) if isinstance(item, list) and level > 0 else [item])
    return out


def _slice(items: Any, start: Any, count: Any = None) -> list[Any]:
    """A part; negative numbers count from the end."""
    values, at = array(items), int(to_number(start))
    at = max(len(values) + at, 0) if at < 0 else at
    if count is None:
        return values[at:]
    many = int(to_number(count))
    return values[at : at + many] if many >= 0 else values[at:many]


def _position(items: Any, value: Any, where: Any = False) -> Any:
    """Whether (or where, -1 for nowhere) the value is in the array."""
    at = next((index for index, item in enumerate(array(items)) if equal(item, value)), -1)
    return at if truth(where) else at >= 0


ARRAYS: Mapping[str, Callable[..., Any]] = {
    "LENGTH": _length,
    "COUNT": _length,
    "FIRST": lambda items: _nth(items, 0),
    "LAST": lambda items: array(items)[-1] if array(items) else None,
    "NTH": _nth,
    "PUSH": _push,
    "POP": lambda items: array(items)[:-1],
    "APPEND": _append,
    "UNSHIFT": lambda items, value: [value, *to_array(items)],
    "SHIFT": lambda items: array(items)[1:],
    "UNIQUE": lambda items: unique(array(items)),
    "SORTED": lambda items: sorted(array(items), key=sort_key),
    "SORTED_UNIQUE": lambda items: sorted(unique(array(items)), key=sort_key),
    "UNION": _union,
    "UNION_DISTINCT": lambda one, two, *more: unique(_union(one, two, *more)),
    "INTERSECTION": _intersection,
    "MINUS": _minus,
    "FLATTEN": flatten,
    "SLICE": _slice,
    "POSITION": _position,
    "CONTAINS_ARRAY": _position,
    "REVERSE": lambda value: value[::-1] if isinstance(value, list | str) else None,
    "REMOVE_VALUE": lambda items, value: [item for item in array(items) if not equal(item, value)],
    "REMOVE_VALUES": lambda items, values: [item for item in array(items) if not contains(item, values)],
    "COUNT_DISTINCT": lambda items: len(unique(array(items))),
}
