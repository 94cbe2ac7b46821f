"""`?filter=`: the comparisons of Consul's boolean expressions that its own documents show most, joined by `and`.

`Service.Meta.zone == a`, `Meta.v != "1"`, `"a" in Tags`, `v1 not in Service.Tags`. The rest answers 501.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .errors import ConsulError, not_emulated

Predicate = Callable[[dict[str, Any]], bool]
_OPTIONAL = {"Kind", "TaggedAddresses", "ServiceTaggedAddresses"}
_WORD = r'("[^"]*"|[^\s()=!"`]+)'
_EQUALS = re.compile(rf"{_WORD}\s*(==|!=)\s*{_WORD}")
_CONTAINS = re.compile(rf"{_WORD}\s+(not\s+)?in\s+{_WORD}")
_GAPS = re.compile(r"\(|\b(or|not|is|contains|matches)\b")


def parse_filter(text: str) -> Predicate:
    """The test that an expression describes; everything passes an empty one. Raises ConsulError (500, 501)."""
    tests = [_comparison(part.strip(), text) for part in re.split(r"\s+and\s+", text.strip()) if part]
    return lambda row: all(test(row) for test in tests)


def _comparison(part: str, text: str) -> Predicate:
    if found := _EQUALS.fullmatch(part):
        selector, operator, wanted = found[1], found[2], found[3].strip('"')
        return lambda row: (_text(_at(row, selector)) == wanted) == (operator == "==")
    if found := _CONTAINS.fullmatch(part):
        item, negated, container = found[1].strip('"'), bool(found[2]), found[3]
        return lambda row: (item in (_at(row, container) or ())) != negated
    if _GAPS.search(part):
        raise not_emulated(f"filter {text!r}")
    raise ConsulError(f"Failed to create boolean expression evaluator: no match found in {text!r}")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _at(row: Any, path: str) -> Any:
    top = path.partition(".")[0]
    if top not in row and top not in _OPTIONAL:
        raise ConsulError(f'Failed to create boolean expression evaluator: Selector "{top}" is not valid')
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row
