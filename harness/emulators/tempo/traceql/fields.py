"""TraceQL field expressions: `span.a = 1 && duration > 2s`, attributes, literals.

Syntax errors are those of Tempo's generated parser, which names what it expected only where at most four
tokens would do.
"""

from __future__ import annotations

from harness.emulators.tempo.traceql import syntax
from harness.emulators.tempo.traceql.lexer import Lexer, Token, TraceQLError, parse_error

STATUSES = frozenset({"ok", "error", "unset"})
KINDS = frozenset({"unspecified", "internal", "server", "client", "producer", "consumer"})
UNSCOPED = frozenset(
    {
        "duration", "name", "status", "statusMessage", "kind", "parent", "rootName", "rootServiceName",
        "traceDuration", "nestedSetLeft", "nestedSetRight", "nestedSetParent",
    }
)  # fmt: skip
SCOPED = {
    "trace:": {"duration": "traceDuration", "rootName": "rootName", "rootService": "rootServiceName",
               "id": "trace:id"},
    "span:": {"duration": "duration", "name": "name", "kind": "kind", "status": "status",
              "statusMessage": "statusMessage", "id": "span:id", "parentID": "span:parentID",
              "childCount": "childCount"},
    "event:": {"name": "event:name", "timeSinceStart": "event:timeSinceStart"},
    "link:": {"traceID": "link:traceID", "spanID": "link:spanID"},
    "instrumentation:": {"name": "instrumentation:name", "version": "instrumentation:version"},
}  # fmt: skip
"""Scoped intrinsics, each with the name it is reported by."""
BINDING = {"&&": 1, "||": 1, **dict.fromkeys(["=", "!=", "<", "<=", ">", ">=", "=~", "!~"], 2), "+": 3, "-": 3,
           "*": 5, "/": 5, "%": 5, "^": 6}  # fmt: skip
"""How tightly field operators bind; 4 is `!`."""


class FieldParser:
    """Tokens of one text, and the expressions inside braces."""

    def __init__(self, text: str) -> None:
        self._tokens = Lexer(text).tokens()
        self._at = 0

    # -- tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _advance(self) -> Token:
        token = self._token
        self._at += 1
        return token

    def _unexpected(self, *expected: str) -> TraceQLError:
        text = f"syntax error: unexpected {self._token.kind}"
        text += f", expecting {' or '.join(expected)}" if expected else ""
        return parse_error(text, self._token.line, self._token.column)

    def _expect(self, kind: str, *also: str) -> Token:
        if self._token.kind != kind:
            raise self._unexpected(kind, *also)
        return self._advance()

    def _has(self, *kinds: str) -> bool:
        return self._token.kind in kinds

    def _close(self) -> None:
        if not self._has(")"):
            raise self._unexpected()
        self._advance()

    # -- fields

    def _field(self, floor: int) -> syntax.Field:
        left = self._operand()
        while True:
            op = self._token.kind
            binding = BINDING.get(op, 0)
            if binding <= floor:
                return left
            self._advance()
            right = self._field(binding - 1 if op == "^" else binding)
            left = _binary(op, left, right)

    def _operand(self) -> syntax.Field:
        if self._has("("):
            self._advance()
            expr = self._field(0)
            self._close()
            return expr
        if self._has("-", "!"):
            op = self._advance().kind
            return syntax.Unary(op, self._field(3 if op == "-" else 4))
        if self._has("ATTRIBUTE", *UNSCOPED, *SCOPED):
            return self._attribute()
        return self._static()

    def _static(self) -> syntax.Static:
        token = self._token
        if token.kind == "IDENTIFIER":
            raise parse_error(f"unknown identifier: {token.value}", token.line, token.column)
        if token.kind in {"STRING", "INTEGER", "FLOAT", "DURATION"}:
            self._advance()
            names = {"INTEGER": "int"}
            return syntax.Static(names.get(token.kind, token.kind.lower()), token.value)
        if token.kind in {"true", "false", "nil"}:
            self._advance()
            return syntax.Static("nil" if token.kind == "nil" else "bool",
                                 None if token.kind == "nil" else token.kind == "true")  # fmt: skip
        if token.kind in STATUSES or token.kind in KINDS:
            self._advance()
            return syntax.Static("status" if token.kind in STATUSES else "kind", token.kind)
        raise self._unexpected()

    def _attribute(self) -> syntax.Attribute:
        token = self._token
        if token.kind == "ATTRIBUTE":
            self._advance()
            scope, _, name = str(token.value).partition(".")
            return syntax.Attribute(scope, name)
        if token.kind in UNSCOPED:
            self._advance()
            return syntax.Attribute("", token.kind, intrinsic=True)
        if token.kind in SCOPED:
            self._advance()
            names = SCOPED[token.kind]
            if self._token.kind not in names:
                raise self._unexpected(*(names if len(names) <= 4 else ()))
            return syntax.Attribute("", names[self._advance().kind], intrinsic=True)
        raise self._unexpected()

    def _attributes(self) -> tuple[syntax.Attribute, ...]:
        self._expect("(")
        found = [self._attribute()]
        while self._has(","):
            self._advance()
            found.append(self._attribute())
        self._expect(")", ",")
        return tuple(found)


def _binary(op: str, left: syntax.Field, right: syntax.Field) -> syntax.Field:
    nils = [isinstance(side, syntax.Static) and side.type == "nil" for side in (left, right)]
    if op not in {"=", "!="} or not any(nils):
        return syntax.Binary(op, left, right)
    if all(nils):
        return syntax.Static("bool", False)
    return syntax.Unary("exists" if op == "!=" else "not exists", right if nils[0] else left)
