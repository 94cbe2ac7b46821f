"""A subset of OTTL conditions: `==`, `!=`, `IsMatch`, and/or/not and parentheses over a few paths.

Everything else of the language is refused when the Collector starts, never evaluated wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .signals import any_value, attributes

Scope = Mapping[str, Any]
"""The objects a condition can see: `item` (span, metric, data point or log record) and `resource`."""
Getter = Callable[[Scope], Any]
Condition = Callable[[Scope], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:\\.|[^\"\\])*\")|(?P<float>-?\d+\.\d+)|(?P<int>-?\d+)"
    r"|(?P<word>[A-Za-z_][\w.]*)|(?P<op>==|!=|<=|>=|[()\[\],<>]))"
)
_FIELDS = {"name", "severity_text", "severity_number", "kind", "description", "unit", "trace_state"}


class OttlError(ValueError):
    """A condition outside the subset."""


@dataclass
class _Parser:
    text: str
    tokens: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        position = 0
        while self.text[position:].strip():
            found = _TOKEN.match(self.text, position)
            if not found:
                raise OttlError(f"unexpected token at {self.text[position:].strip()[:20]!r}")
            self.tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            position = found.end()
        self.tokens.append(("end", ""))

    def accept(self, text: str) -> bool:
        if self.tokens[0][1] == text:
            self.tokens.pop(0)
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise OttlError(f"expected {text!r} before {self.tokens[0][1]!r}")

    def condition(self) -> Condition:
        terms = [self._conjunction()]
        while self.accept("or"):
            terms.append(self._conjunction())
        return lambda scope: any(term(scope) for term in terms)

    def _conjunction(self) -> Condition:
        factors = [self._factor()]
        while self.accept("and"):
            factors.append(self._factor())
        return lambda scope: all(factor(scope) for factor in factors)

    def _factor(self) -> Condition:
        if self.accept("not"):
            inner = self._factor()
            return lambda scope: not inner(scope)
        if self.accept("("):
            inner = self.condition()
            self.expect(")")
            return inner
        if self.accept("IsMatch"):
            return self._is_match()
        return self._comparison()

    def _is_match(self) -> Condition:
        self.expect("(")
        left = self._value()
        self.expect(",")
        kind, text = self.tokens.pop(0)
        if kind != "string":
            raise OttlError("IsMatch takes a pattern in quotes")
        self.expect(")")
        pattern = re.compile(_unquote(text))
        return lambda scope: (value := left(scope)) is not None and bool(pattern.search(str(value)))

    def _comparison(self) -> Condition:
        left = self._value()
        operator = self.tokens.pop(0)[1]
        if operator not in {"==", "!="}:
            raise OttlError(f"operator {operator!r} is not emulated (501)")
        right = self._value()
        return lambda scope: _equal(left(scope), right(scope)) == (operator == "==")

    def _value(self) -> Getter:
        kind, text = self.tokens.pop(0)
        if kind in {"string", "int", "float"}:
            return _constant(_unquote(text) if kind == "string" else float(text) if kind == "float" else int(text))
        if text in {"true", "false", "nil"}:
            return _constant({"true": True, "false": False, "nil": None}[text])
        return self._path(text)

    def _path(self, text: str) -> Getter:
        *context, name = text.split(".")
        side = "resource" if context[-1:] == ["resource"] else "item"
        if name == "attributes":
            self.expect("[")
            key = _unquote(self.tokens.pop(0)[1])
            self.expect("]")
            return lambda scope: attributes(scope[side].attributes).get(key)
        if side == "item" and name == "body":
            return lambda scope: any_value(scope["item"].body)
        if side == "item" and name in _FIELDS:
            return lambda scope: getattr(scope["item"], name, None)
        raise OttlError(f"path {text!r} is not emulated (501)")


def _constant(value: Any) -> Getter:
    return lambda _scope: value


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _equal(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def parse_condition(text: str) -> Condition:
    """One condition. Raises OttlError for anything outside the subset."""
    parser = _Parser(text)
    condition = parser.condition()
    if parser.tokens[0][0] != "end":
        raise OttlError(f"unexpected {parser.tokens[0][1]!r}")
    return condition
