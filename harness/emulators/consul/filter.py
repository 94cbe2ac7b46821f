"""`?filter=`: a subset of Consul's boolean expressions over the wire form of a row.

`Service == web and "a" in Tags`, `Meta.v != 1`, `Checks is empty`, `ID matches "^w"`, `not (...)`, `or`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .errors import ConsulError

_OPTIONAL = {"Kind", "TaggedAddresses", "ServiceTaggedAddresses"}
Predicate = Callable[[dict[str, Any]], bool]
_TOKEN = re.compile(r'\s*(?:("(?:\\.|[^"\\])*"|`[^`]*`)|(==|!=|\(|\))|([^\s()=!"`]+))')
_EXPECTED = '"!=", "==", "contains", "in", "is", "matches", "not" or [ \\t\\r\\n]'


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = [
            (m.group().strip(), m.start() + len(m.group()) - len(m.group().lstrip())) for m in _TOKEN.finditer(text)
        ]
        self._tokens.append(("", len(text)))
        self._at = 0

    def take(self, *wanted: str) -> bool:
        if self._tokens[self._at][0].lower() in wanted:
            self._at += 1
            return True
        return False

    def word(self) -> str:
        text = self._tokens[self._at][0]
        if not text:
            raise self.fail()
        self._at += 1
        if text[0] == "`":
            return text[1:-1]
        return str(json.loads(text)) if text[0] == '"' else text

    def fail(self) -> ConsulError:
        place = self._tokens[self._at][1]
        cause = f"1:{place + 1} ({place}): no match found, expected: {_EXPECTED}"
        return ConsulError(f"Failed to create boolean expression evaluator: {cause}")

    def either(self) -> Predicate:
        left = self._both()
        while self.take("or"):
            left = _joined(any, left, self._both())
        return left

    def _both(self) -> Predicate:
        left = self._one()
        while self.take("and"):
            left = _joined(all, left, self._one())
        return left

    def _one(self) -> Predicate:
        if self.take("not"):
            inner = self._one()
            return lambda row: not inner(row)
        if self.take("("):
            inner = self.either()
            if not self.take(")"):
                place = self._tokens[self._at][1]
                cause = f'1:{place + 1} ({place}): rule "grouping": Unmatched parentheses'
                raise ConsulError(f"Failed to create boolean expression evaluator: {cause}")
            return inner
        return self._match(self.word())

    def _match(self, subject: str) -> Predicate:
        negated = self.take("not")
        if self.take("in"):
            path = self.word()
            return lambda row: _has(_at(row, path), subject) != negated
        if self.take("contains"):
            wanted = self.word()
            return lambda row: _has(_at(row, subject), wanted) != negated
        if self.take("matches"):
            pattern = re.compile(self.word())
            return lambda row: bool(pattern.search(str(_at(row, subject)))) != negated
        if self.take("is"):
            flipped = self.take("not") != negated
            if not self.take("empty"):
                raise self.fail()
            return lambda row: (not _at(row, subject)) != flipped
        same = self.take("==")
        if not same and not self.take("!="):
            raise self.fail()
        wanted = self.word()
        return lambda row: _equal(_at(row, subject), wanted) == same


def _joined(how: Callable[[list[bool]], bool], left: Predicate, right: Predicate) -> Predicate:
    return lambda row: how([left(row), right(row)])


def _at(row: Any, path: str) -> Any:
    top = path.partition(".")[0]
    if top not in row and top not in _OPTIONAL:
        raise ConsulError(f'Failed to create boolean expression evaluator: Selector "{top}" is not valid')
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def _has(container: Any, wanted: str) -> bool:
    return wanted in (container or ())


def _equal(value: Any, wanted: str) -> bool:
    return str(value).lower() == wanted.lower() if isinstance(value, bool) else str(value) == wanted


def parse_filter(text: str) -> Predicate:
    """The test that a filter expression describes; everything passes an empty one. Raises ConsulError (500)."""
    if not text:
        return lambda _: True
    reader = _Reader(text)
    predicate = reader.either()
    if not reader.take(""):
        raise reader.fail()
    return predicate
