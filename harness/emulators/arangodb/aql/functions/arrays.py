"""Array functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, zip_longest
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.operators import contains
from harness.emulators.arangodb.aql.values import equal, sort_key, to_array, to_number, to_string, truth

_MISSING = object()
_MAX_LENGTH = 1_000_000


def unique(items: list[Any]) -> list[Any]:
    """The items without repetitions, first occurrences kept."""
    return list({sort_key(item): item for item in reversed(items)}.values())[::-1]


def array(value: Any) -> list[Any]:
    """The value, which must be an array. Raises AqlWarning 1542 or 1563."""
    if not isinstance(value, list):
        raise AqlWarning(1542, "invalid argument type in call to function, array expected")
    return value


def length(value: Any) -> int:
    """Elements, attributes, letters, or digits; null has 0, true 1."""
    if isinstance(value, list | dict):
        return len(value)
    return int(value) if isinstance(value, bool) else len(to_string(value))


def first(items: Any) -> Any:
    """The first element or null."""
    return array(items)[0] if array(items) else None


def last(items: Any) -> Any:
    """The last element or null."""
    return array(items)[-1] if array(items) else None


def nth(items: Any, at: Any) -> Any:
    """The element at a position or null."""
    index = int(to_number(at))
    return array(items)[index] if 0 <= index < len(array(items)) else None


def push(items: Any, value: Any, once: Any = False) -> Any:
    """With the value at the end."""
    if items is None:
        return [value]
    return array(items) if truth(once) and contains(value, items) else [*array(items), value]


def unshift(items: Any, value: Any, once: Any = False) -> Any:
    """With the value at the beginning."""
    if items is None:
        return [value]
    return array(items) if truth(once) and contains(value, items) else [value, *array(items)]


def append(items: Any, values: Any, once: Any = False) -> Any:
    """Both arrays after one another."""
    joined = [*to_array(items), *to_array(values)]
    return unique(joined) if truth(once) else joined


def _union(*arrays: Any) -> list[Any]:
    return list(chain.from_iterable(array(items) for items in arrays))


def union(one: Any, two: Any, *more: Any) -> list[Any]:
    """All elements of all arrays."""
    return _union(one, two, *more)


def union_distinct(one: Any, two: Any, *more: Any) -> list[Any]:
    """All different elements of all arrays."""
    return unique(_union(one, two, *more))


def intersection(one: Any, two: Any, *more: Any) -> list[Any]:
    """Elements that all arrays have."""
    keys = [{sort_key(item) for item in array(items)} for items in (two, *more)]
    return [item for item in unique(array(one)) if all(sort_key(item) in other for other in keys)]


def minus(one: Any, two: Any, *more: Any) -> list[Any]:
    """Elements of the first array that no other has."""
    gone = {sort_key(item) for item in _union(two, *more)}
    return [item for item in unique(array(one)) if sort_key(item) not in gone]


def outersection(one: Any, two: Any, *more: Any) -> list[Any]:
    """Elements that exactly one array has."""
    every = [key for items in (one, two, *more) for key in {sort_key(item) for item in array(items)}]
    return [item for item in unique(_union(one, two, *more)) if every.count(sort_key(item)) == 1]


def flatten(items: Any, depth: Any = 1) -> list[Any]:
    """With so many levels of nesting dissolved."""
    level = int(to_number(depth))
    out: list[Any] = []
    for item in array(items):
        out.extend(flatten(item, level - 1) if isinstance(item, list) and level > 0 else [item])
    return out


def slice_(items: Any, start: Any, count: Any = None) -> list[Any]:
    """A part; negative numbers count from the end."""
    values, at = array(items), int(to_number(start))
    at = max(len(values) + at, 0) if at < 0 else at
    if count is None:
        return values[at:]
    many = int(to_number(count))
    return values[at : at + many] if many >= 0 else values[at:many]


def position(items: Any, value: Any, where: Any = False) -> Any:
    """Whether (or where, -1 for nowhere) the value is in the array."""
    at = next((index for index, item in enumerate(array(items)) if equal(item, value)), -1)
    return at if truth(where) else at >= 0


def reverse(value: Any) -> Any:
    """Backwards, arrays and strings."""
    return value[::-1] if isinstance(value, list | str) else None


def remove_value(items: Any, value: Any, limit: Any = None) -> list[Any]:
    """Without the value, at most `limit` times."""
    left = len(array(items)) if limit is None or to_number(limit) < 0 else int(to_number(limit))
    out = []
    for item in items:
        if left and equal(item, value):
            left -= 1
        else:
            out.append(item)
    return out


def remove_values(items: Any, values: Any) -> list[Any]:
    """Without any of the values."""
    return [item for item in array(items) if not contains(item, values)]


def _index(items: list[Any], at: Any) -> int:
    index = int(to_number(at))
    return index + len(items) if index < 0 else index


def remove_nth(items: Any, at: Any) -> list[Any]:
    """Without the element at a position."""
    index = _index(array(items), at)
    return [item for number, item in enumerate(items) if number != index]


def replace_nth(items: Any, at: Any, value: Any, default: Any = None) -> list[Any]:
    """With another element at a position; gaps are filled with `default`."""
    index, out = max(_index(array(items), at), 0), list(items)
    if index > _MAX_LENGTH:
        raise AqlWarning(1542, "invalid argument type in call to function 'REPLACE_NTH()'")
    out.extend([default] * (index + 1 - len(out)))
    out[index] = value
    return out


def interleave(*arrays: Any) -> list[Any]:
    """One element of each in turn."""
    if len(arrays) == 1:
        arrays = tuple(array(arrays[0]))
    rows = zip_longest(*(array(items) for items in arrays), fillvalue=_MISSING)
    return [item for row in rows for item in row if item is not _MISSING]


def jaccard(one: Any, two: Any) -> float:
    """The share of common elements."""
    a, b = {sort_key(item) for item in array(one)}, {sort_key(item) for item in array(two)}
    return len(a & b) / len(a | b) if a | b else 1.0


ARRAYS: Mapping[str, Callable[..., Any]] = {
    "LENGTH": length,
    "COUNT": length,
    "FIRST": first,
    "LAST": last,
    "NTH": nth,
    "PUSH": push,
    "POP": lambda items: None if items is None else array(items)[:-1],
    "APPEND": append,
    "UNSHIFT": unshift,
    "SHIFT": lambda items: None if items is None else array(items)[1:],
    "UNIQUE": lambda items: unique(array(items)),
    "SORTED": lambda items: sorted(array(items), key=sort_key),
    "SORTED_UNIQUE": lambda items: sorted(unique(array(items)), key=sort_key),
    "UNION": union,
    "UNION_DISTINCT": union_distinct,
    "INTERSECTION": intersection,
    "MINUS": minus,
    "OUTERSECTION": outersection,
    "FLATTEN": flatten,
    "SLICE": slice_,
    "POSITION": position,
    "CONTAINS_ARRAY": position,
    "REVERSE": reverse,
    "REMOVE_VALUE": remove_value,
    "REMOVE_VALUES": remove_values,
    "REMOVE_NTH": remove_nth,
    "REPLACE_NTH": replace_nth,
    "INTERLEAVE": interleave,
    "COUNT_DISTINCT": lambda items: len(unique(array(items))),
    "COUNT_UNIQUE": lambda items: len(unique(array(items))),
    "JACCARD": jaccard,
}
