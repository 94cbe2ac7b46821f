"""TraceQL text to tokens, with the positions that Tempo's error messages name.

Follows the language's own scanner: Go's text/scanner rules, keywords shown as themselves in errors, an attribute name
running until a rune that cannot belong to it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from harness.emulators.tempo.gotext import LONG_NANOS, parse_duration

SCOPES = frozenset({"span", "resource", "event", "link", "instrumentation", "parent"})
COLON_SCOPES = frozenset({"trace", "span", "event", "link", "instrumentation"})
OPERATORS = (
    "!>>", "!<<", "&>>", "&<<", "!>", "!<", "&~", "&>", "&<", ">>", "<<", "&&", "||", "!=", "=~", "!~", ">=", "<=",
    "=", ">", "<", "+", "-", "/", "%", "*", "^", "!", "|", "~", "(", ")", "{", "}", ",", ".",
)  # fmt: skip
STATICS = frozenset(
    {
        "true", "false", "nil", "ok", "error", "unset", "unspecified", "internal", "server", "client",
        "producer", "consumer"
    }
)  # fmt: skip
INTRINSICS = frozenset(
    {
        "duration", "childCount", "name", "status", "statusMessage", "parent", "kind", "rootName",
        "rootServiceName", "rootService", "traceDuration", "nestedSetLeft", "nestedSetRight", "nestedSetParent",
        "id", "traceID", "spanID", "parentID", "timeSinceStart", "version"
    }
)  # fmt: skip
METRICS = frozenset(
    {
        "rate", "count_over_time", "min_over_time", "max_over_time", "avg_over_time", "sum_over_time",
        "quantile_over_time", "histogram_over_time", "compare"
    }
)  # fmt: skip
STAGES = frozenset(
    {
        "count", "avg", "max", "min", "sum", "by", "coalesce", "select", "topk", "bottomk", "with"
    }
)  # fmt: skip
WORDS = STATICS | INTRINSICS | METRICS | STAGES

_WORD = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+(?:[eE][+-]?\d+)?")
_DURATION = re.compile(r"[\d.nsumhµdwy]+")
_ATTRIBUTE = re.compile(r'(?:"(?:[^"\\]|\\["\\])*"|[^\s{}()=~!<>&|^,"])+')
_SPACE = re.compile(r"(?:\s+|//[^\n]*)+")


class TraceQLError(Exception):
    """A query that Tempo refuses; the message is Tempo's own, position included."""


def parse_error(text: str, line: int, column: int) -> TraceQLError:
    """The error for a position; an empty query has none."""
    where = f"at line {line}, col {column}" if line else ""
    return TraceQLError(f"parse error {where}: {text}")


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is what errors call it: the keyword or operator itself, or a class such as INTEGER."""

    kind: str
    value: str | int | float
    line: int
    column: int


class Lexer:
    """Reads one query. `tokens()` raises TraceQLError at the first thing that is no token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tokens: list[Token] = []

    def tokens(self) -> list[Token]:
        """All tokens, ended by one of kind `$end`."""
        while True:
            space = _SPACE.match(self._text, self._at)
            if space:
                self._at = space.end()
            if self._at >= len(self._text):
                self._add("$end", "", 0)
                return self._tokens
            self._next()

    def _position(self) -> tuple[int, int]:
        if not self._text.strip():
            return (0, 0) if not self._text else (1, len(self._text) + 1)
        before = self._text[: self._at]
        return before.count("\n") + 1, self._at - (before.rfind("\n") + 1) + 1

    def _add(self, kind: str, value: str | int | float, length: int) -> None:
        self._tokens.append(Token(kind, value, *self._position()))
        self._at += length

    def _next(self) -> None:
        char = self._text[self._at]
        if char in '"`':
            self._string(char)
        elif char.isdigit() or (char == "." and self._text[self._at + 1 : self._at + 2].isdigit()):
            self._number()
        elif match := _WORD.match(self._text, self._at):
            self._word(match[0])
        elif char == ".":
            self._attribute("")
        else:
            operator = next((op for op in OPERATORS if self._text.startswith(op, self._at)), None)
            self._add(operator or "$unk", operator or char, len(operator or char))

    def _string(self, quote: str) -> None:
        pattern = r'"(?:[^"\\\n]|\\.)*"' if quote == '"' else r"`[^`]*`"
        match = re.compile(pattern).match(self._text, self._at)
        if not match:
            raise parse_error("literal not terminated", *self._position())
        raw = match[0]
        try:
            value = raw[1:-1] if quote == "`" or "\\" not in raw else str(ast.literal_eval(raw))
        except (SyntaxError, ValueError) as error:
            raise parse_error("invalid char escape", *self._position()) from error
        self._add("STRING", value, len(raw))

    def _number(self) -> None:
        long = _DURATION.match(self._text, self._at)
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            raise parse_error("illegal number", *self._position())
        if long and len(long[0]) > len(match[0]):
            try:
                self._add("DURATION", parse_duration(long[0], LONG_NANOS), len(long[0]))
            except ValueError:
                pass  # not a duration after all: Tempo, too, falls back to the number
            else:
                return
        whole = match[0].isdigit()
        self._add("INTEGER" if whole else "FLOAT", int(match[0]) if whole else float(match[0]), len(match[0]))

    def _word(self, word: str) -> None:
        after = self._text[self._at + len(word) : self._at + len(word) + 1]
        if after == "." and word in SCOPES:
            self._attribute(word)
        elif after == ":" and word in COLON_SCOPES:
            self._add(f"{word}:", word, len(word) + 1)
        else:
            self._add(word if word in WORDS else "IDENTIFIER", word, len(word))

    def _attribute(self, scope: str) -> None:
        start = self._at + len(scope) + 1
        match = _ATTRIBUTE.match(self._text, start)
        if not match:
            raise parse_error("syntax error: unexpected END_ATTRIBUTE, expecting IDENTIFIER", *self._position())
        name = re.sub(r'"((?:[^"\\]|\\.)*)"', lambda part: re.sub(r"\\(.)", r"\1", part[1]), match[0])
        self._add("ATTRIBUTE", f"{scope}.{name}", match.end() - self._at)
