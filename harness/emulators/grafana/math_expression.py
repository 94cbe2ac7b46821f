"""The language of math expressions: operators over sets of labelled values. Functions are not emulated."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable

from .errors import not_emulated, public
from .values import Number, Value, number

Operation = Callable[[float, float], float]


def _pow(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except (ValueError, OverflowError):
        return math.nan if a < 0 else math.inf


LEVELS: tuple[dict[str, Operation], ...] = (
    {"||": lambda a, b: float(bool(a) or bool(b))},
    {"&&": lambda a, b: float(bool(a) and bool(b))},
    {"==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt},
    {"+": operator.add, "-": operator.sub},
    {
        "*": operator.mul,
        "/": lambda a, b: a / b if b else math.nan if a == 0 else math.copysign(math.inf, a),
        "%": lambda a, b: math.fmod(a, b) if b else math.nan,
    },
    {"**": _pow},
)
"""Binary operators, the weakest first."""
TOKEN = re.compile(r"\s*(\d+\.?\d*(?:[eE][-+]?\d+)?|\$\{[^}]+\}|\$\w+|[a-z_]+|\*\*|&&|\|\||[=!<>]=|[-+*/%<>!()])")


class Math:
    """A recursive descent over one expression; sets of values meet on compatible labels."""

    def __init__(self, text: str, inputs: dict[str, list[Value]], ref: str) -> None:
        self._text, self._inputs, self._ref = text, inputs, ref
        self._tokens = self._split(text)

    def run(self) -> list[Value]:
        """The expression's values. Raises sse.parseError."""
        made = self._level(0)
        if self._tokens:
            raise self._error(f"unexpected {self._tokens[0]!r}")
        return made

    def _split(self, text: str) -> list[str]:
        tokens, at = [], 0
        while text[at:].strip():
            match = TOKEN.match(text, at)
            if not match:
                raise self._error(f"unexpected character {text[at:].strip()[0]!r}")
            tokens.append(match[1])
            at = match.end()
        return tokens

    def _error(self, text: str) -> Exception:
        return public(400, "sse.parseError", f"failed to parse expression [{self._ref}]: {text} in {self._text!r}")

    def _take(self) -> str:
        if not self._tokens:
            raise self._error("unexpected end")
        return self._tokens.pop(0)

    def _level(self, level: int) -> list[Value]:
        if level == len(LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while self._tokens and self._tokens[0] in LEVELS[level]:
            operation = LEVELS[level][self._take()]
            left = _combine(left, self._level(level + 1), operation)
        return left

    def _unary(self) -> list[Value]:
        word = self._take()
        if word in {"-", "!"}:
            change: Callable[[float], float] = operator.neg if word == "-" else lambda v: float(not v)
            return _each(self._unary(), change)
        if word == "(":
            inner = self._level(0)
            if self._take() != ")":
                raise self._error("expected ')'")
            return inner
        if word.startswith("$"):
            return self._inputs.get(word.strip("${}"), [])
        if word[0].isdigit():
            return [number(float(word))]
        raise not_emulated(f"math function {word!r}") if word.isidentifier() else self._error(f"unexpected {word!r}")


def _each(values: list[Value], change: Callable[[float], float]) -> list[Value]:
    return [Value(x.labels, tuple((t, None if v is None else float(change(v))) for t, v in x.points)) for x in values]


def _combine(left: list[Value], right: list[Value], operation: Operation) -> list[Value]:
    def cell(a: Number, b: Number) -> Number:
        return None if a is None or b is None else float(operation(a, b))

    made = []
    for a in left:
        for b in right:
            if not (a.labels.items() <= b.labels.items() or b.labels.items() <= a.labels.items()):
                continue
            labels = a.labels | b.labels
            if b.single:
                rows = tuple((t, cell(v, b.number)) for t, v in a.points)
            elif a.single:
                rows = tuple((t, cell(a.number, v)) for t, v in b.points)
            else:
                other = dict(b.points)
                rows = tuple((t, cell(v, other[t])) for t, v in a.points if t in other)
            made.append(Value(labels, rows))
    return made
