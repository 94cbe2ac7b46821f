"""TraceQL text to its tree: the grammar of `traceql.lark`, and the error messages of Tempo's generated parser.

That parser names what it expected only where at most four tokens would do.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken

from harness.emulators.go_durations import parse_duration
from harness.emulators.tempo.gotext import LONG_UNITS
from harness.emulators.tempo.traceql import syntax

CLASSES = frozenset({"STRING", "INTEGER", "FLOAT", "DURATION", "IDENTIFIER", "ATTRIBUTE", "$END"})
"""Terminals that errors call by their class; every other one is called as it is written."""
LISTED = ("{", "}", "(", ")", ",", "INTEGER", "FLOAT", "duration", "name", "rootName", "rootService", "id", "traceID",
          "spanID", "timeSinceStart", "version")  # fmt: skip
"""The order in which expected tokens are listed: that of Tempo's own table."""
MOST_LISTED = 4
STATICS: dict[str, syntax.Static] = {
    "true": syntax.Static("bool", True), "false": syntax.Static("bool", False), "nil": syntax.Static("nil", None),
    **{word: syntax.Static("status", word) for word in ("ok", "error", "unset")},
    **{word: syntax.Static("kind", word)
       for word in ("unspecified", "internal", "server", "client", "producer", "consumer")},
}  # fmt: skip
REPORTED = {
    "trace:duration": "traceDuration", "trace:rootName": "rootName", "trace:rootService": "rootServiceName",
    **{f"span:{name}": name for name in ("duration", "name", "kind", "status", "statusMessage", "childCount")},
}  # fmt: skip
"""Scoped intrinsics that are reported by another name than their own."""


class TraceQLError(Exception):
    """A query that Tempo refuses; the message is Tempo's own, position included."""


class NotEmulatedError(Exception):
    """Valid TraceQL that this emulator does not evaluate."""


def parse(text: str, start: str = "query") -> Any:
    """The `syntax.Query` of a query, or with start `tag` the field in `{field}`. Raises the two errors above."""
    try:
        return _grammar().parse(text, start=start)
    except UnexpectedToken as error:
        raise _unexpected(error, text) from error
    except UnexpectedCharacters as error:
        said = {
            '"': "literal not terminated", "`": "literal not terminated",
            ".": "syntax error: unexpected END_ATTRIBUTE, expecting IDENTIFIER",
        }  # fmt: skip
        raise _parse_error(said.get(error.char, "syntax error: unexpected $unk"), error.line, error.column) from error


@cache
def _grammar() -> Lark:
    grammar = files(__package__).joinpath("traceql.lark").read_text()
    return Lark(grammar, parser="lalr", lexer="basic", start=["query", "tag"], transformer=_Builder())


def _parse_error(what: str, line: int, column: int) -> TraceQLError:
    return TraceQLError(f"parse error {f'at line {line}, col {column}' if line else ''}: {what}")


def _unexpected(error: UnexpectedToken, text: str) -> TraceQLError:
    token, accepted = error.token, error.accepts or set()
    line, column = _end(text) if token.type == "$END" else (token.line or 0, token.column or 0)
    if token.type == "IDENTIFIER" and "STRING" in accepted:
        return _parse_error(f"unknown identifier: {token}", line, column)
    found = {"$END": "$end"}.get(token.type, token.type if token.type in CLASSES else str(token))
    expected = sorted(map(_spelled, accepted), key=lambda name: LISTED.index(name) if name in LISTED else 0)
    short = len(expected) <= MOST_LISTED and "$END" not in expected
    listed = f", expecting {' or '.join(expected)}" if short else ""
    return _parse_error(f"syntax error: unexpected {found}{listed}", line, column)


def _spelled(terminal: str) -> str:
    if terminal in CLASSES:
        return terminal
    return next(str(one.pattern.value) for one in _grammar().terminals if one.name == terminal)


def _end(text: str) -> tuple[int, int]:
    """Where a text ends; an empty one has no position."""
    if not text.strip():
        return (1, len(text) + 1) if text else (0, 0)
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _unquoted(token: Token) -> str:
    if token.startswith("`") or "\\" not in token:
        return token[1:-1]
    try:
        return str(ast.literal_eval(token))
    except (SyntaxError, ValueError) as error:
        raise _parse_error("invalid char escape", token.line or 0, token.column or 0) from error


class _Builder(Transformer[Token, Any]):
    """Makes the tree while the text is parsed: one method per rule of the grammar, given the parts it matched."""

    def search(self, parts: list[Any]) -> syntax.Query:
        return syntax.Query(syntax.Pipeline(parts[0]), None, *parts[1:])

    def measured(self, parts: list[Any]) -> syntax.Query:
        return syntax.Query(syntax.Pipeline(parts[0]), *parts[1:])

    def hints(self, parts: list[Any]) -> dict[str, Any]:
        return dict(parts)

    def hint(self, parts: list[Any]) -> tuple[str, Any]:
        return str(parts[0]), parts[1].value

    # -- stages

    def pipeline(self, parts: list[Any]) -> tuple[syntax.Stage, ...]:
        return (*parts[0], parts[1]) if len(parts) > 1 else (parts[0],)

    def coalesce(self, _: list[Any]) -> syntax.Stage:
        return syntax.Coalesce()

    def group(self, parts: list[Any]) -> syntax.Stage:
        return syntax.GroupBy(parts[0])

    def select(self, parts: list[Any]) -> syntax.Stage:
        return syntax.Select(parts[0])

    def joined(self, parts: list[Any]) -> syntax.Stage:
        return syntax.SpansetOperation(str(parts[1]), parts[0], parts[2])

    def nested(self, parts: list[Any]) -> syntax.Stage:
        stages: tuple[syntax.Stage, ...] = parts[0]
        return stages[0] if len(stages) == 1 else syntax.Pipeline(stages)

    def enclosed_metrics(self, _: list[Any]) -> syntax.Metrics:
        raise NotEmulatedError("arithmetic between TraceQL metrics queries")

    def filter(self, parts: list[Any]) -> syntax.Filter:
        return syntax.Filter(parts[0] if parts else STATICS["true"])

    def scalar_filter(self, parts: list[Any]) -> syntax.Stage:
        return syntax.ScalarFilter(str(parts[1]), parts[0], parts[2])

    def aggregate(self, parts: list[Any]) -> syntax.Aggregate:
        return syntax.Aggregate(str(parts[0]), parts[2] if len(parts) > 3 else None)

    def number(self, parts: list[Any]) -> syntax.Static:
        static = self.static(parts[-1:])
        return syntax.Static(static.type, -static.value) if len(parts) > 1 else static  # type: ignore[operator]

    # -- metrics

    def metrics(self, parts: list[Any]) -> syntax.Metrics:
        op, attribute, quantiles = parts[0]
        by: tuple[syntax.Attribute, ...] = next((part for part in parts[1:] if isinstance(part, tuple)), ())
        then = tuple(part for part in parts if isinstance(part, syntax.SecondStage))
        return syntax.Metrics(op, attribute, by, quantiles, then)

    def counting(self, parts: list[Any]) -> tuple[Any, ...]:
        return str(parts[0]), None, ()

    def folding(self, parts: list[Any]) -> tuple[Any, ...]:
        return str(parts[0]), parts[2], ()

    def quantiles(self, parts: list[Any]) -> tuple[Any, ...]:
        return "quantile_over_time", parts[0], tuple(map(float, parts[1:]))

    def comparing(self, _: list[Any]) -> tuple[Any, ...]:
        raise NotEmulatedError("compare()")

    def then(self, parts: list[Any]) -> syntax.SecondStage:
        if isinstance(parts[1], Token):
            return syntax.SecondStage(str(parts[1]), float(parts[3]))
        return syntax.SecondStage(str(parts[0]), parts[1].value / (1e9 if parts[1].type == "duration" else 1))

    # -- fields

    def binary(self, parts: list[Any]) -> syntax.Field:
        left, op, right = parts[0], str(parts[1]), parts[2]
        nils = [side == STATICS["nil"] for side in (left, right)]
        if op not in {"=", "!="} or not any(nils):
            return syntax.Binary(op, left, right)
        if all(nils):
            return STATICS["false"]
        return syntax.Unary("exists" if op == "!=" else "not exists", right if nils[0] else left)

    def prefix(self, parts: list[Any]) -> syntax.Field:
        return syntax.Unary(str(parts[0]), parts[1])

    def attributes(self, parts: list[Any]) -> tuple[syntax.Attribute, ...]:
        return tuple(parts)

    def attribute(self, parts: list[Any]) -> syntax.Attribute:
        text = "".join(parts)
        if parts[0].type != "ATTRIBUTE":
            return syntax.Attribute("", REPORTED.get(text, text), intrinsic=True)
        scope, _, name = text.partition(".")
        plain = re.sub(r'"((?:[^"\\]|\\.)*)"', lambda part: re.sub(r"\\(.)", r"\1", part[1]), name)
        return syntax.Attribute(scope, plain)

    def static(self, parts: list[Any]) -> syntax.Static:
        (token,) = parts
        if token.type == "STRING":
            return syntax.Static("string", _unquoted(token))
        if token.type == "DURATION":
            return syntax.Static("duration", parse_duration(token, LONG_UNITS))
        if token.type in {"INTEGER", "FLOAT"}:
            whole = token.type == "INTEGER"
            if whole and int(token) >= 1 << 63:
                said = f'strconv.Atoi: parsing "{token}": value out of range'
                raise _parse_error(said, token.line or 0, token.column or 0)
            return syntax.Static("int" if whole else "float", int(token) if whole else float(token))
        return STATICS[token]
