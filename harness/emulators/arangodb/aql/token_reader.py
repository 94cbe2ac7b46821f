"""Reading tokens one by one, and bind parameters."""

from __future__ import annotations

from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.lexer import Token, parse_error, syntax_error, tokenize
from harness.emulators.arangodb.errors import ArangoError

_MISSING = object()


class TokenReader:
    """A query's tokens, and its bind parameters, which are replaced by their values as they are met.

    With `bind` of None the query is only parsed: parameters stay unresolved nulls.
    """

    def __init__(self, text: str, bind: dict[str, Any] | None) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.at = 0
        self.bind = bind
        self.used: dict[str, None] = {}

    # -- tokens

    @property
    def token(self) -> Token:
        """The token not yet consumed."""
        return self.tokens[self.at]

    def peek(self, *values: str, ahead: int = 0) -> bool:
        """Whether a token is one of these keywords or operators."""
        token = self.tokens[min(self.at + ahead, len(self.tokens) - 1)]
        return token.kind in ("keyword", "op") and token.value in values

    def peek_word(self, *words: str, ahead: int = 0) -> bool:
        """Whether a token is one of these words that are keywords only here."""
        token = self.tokens[min(self.at + ahead, len(self.tokens) - 1)]
        return token.kind == "name" and token.value.upper() in words

    def take(self, *values: str) -> bool:
        """Consume one of these keywords or operators if it is next."""
        if self.peek(*values):
            self.at += 1
            return True
        return False

    def take_word(self, *words: str) -> bool:
        """Consume one of these contextual words if it is next."""
        if self.peek_word(*words):
            self.at += 1
            return True
        return False

    def expect(self, value: str) -> None:
        """Consume a keyword or operator. Raises ArangoError 1501 if something else is next."""
        if not self.take(value):
            raise self.unexpected()

    def name(self) -> str:
        """Consume an identifier."""
        token = self.token
        if token.kind != "name":
            raise self.unexpected()
        self.at += 1
        return str(token.value)

    def unexpected(self) -> ArangoError:
        """The syntax error of the next token."""
        return syntax_error(self.text, self.token)

    def bind_value(self, token: Token, prefix: str = "") -> Any:
        """Consume a bind parameter and give its value. Raises ArangoError 1551 when it has none."""
        self.at += 1
        name = prefix + str(token.value)
        self.used[name] = None
        if self.bind is None:
            return None
        value = self.bind.get(name, _MISSING)
        if value is _MISSING:
            raise ArangoError(1551, f"no value specified for declared bind parameter '{name}' (while parsing)")
        return value

    def data_source(self) -> ast.DataSource:
        """Consume `@@name`."""
        token = self.token
        value = self.bind_value(token, "@")
        if self.bind is not None and (not isinstance(value, str) or not value):
            raise ArangoError(1553, f"bind parameter '@{token.value}' has an invalid value or type (while parsing)")
        return ast.DataSource(value or f"@{token.value}")

    def fail(self, token: Token, message: str, number: int) -> ArangoError:
        """A parse error that is not about syntax."""
        return parse_error(self.text, token.at, message, number)
