"""AQL text to tokens, read one by one (AQL manual: "Syntax")."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from harness.emulators.arangodb.aql.values import read_json
from harness.emulators.arangodb.errors import ArangoError

_KEYWORDS_TEXT = """
    AGGREGATE ALL ALL_SHORTEST_PATHS AND ANY ASC COLLECT DESC DISTINCT FALSE FILTER FOR GRAPH IN INBOUND INSERT
    INTO K_PATHS K_SHORTEST_PATHS LET LIKE LIMIT NONE NOT NULL OR OUTBOUND REMOVE REPLACE RETURN SHORTEST_PATH
    SORT TRUE UPDATE UPSERT WINDOW WITH
"""
_KEYWORDS = frozenset(_KEYWORDS_TEXT.split())
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+|(?:(?:0|[1-9]\d*)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?)
    |(?P<datasource>@@[A-Za-z0-9_]+)
    |(?P<bind>@[A-Za-z0-9_]+)
    |(?P<name>\$?[A-Za-z]\w*|_+[A-Za-z]\w*)
    |(?P<quoted>`(?:[^`\\]|\\.)*`|´(?:[^´\\]|\\.)*´)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<op>\.\.|==|!=|<=|>=|=~|!~|&&|\|\||::|[-+*/%<>=!?:,.()\[\]{}])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_SYNONYMS = {"&&": "AND", "||": "OR", "!": "NOT"}
_DESCRIBED = {"name": "identifier", "string": "quoted string", "bind": "bind parameter", "end": "end of query string",
              "datasource": "bind data source parameter", "number": "number"}  # fmt: skip
_OPERATORS = {"=": "assignment", ",": "comma", ":": "colon", "==": "== operator", "..": ".. operator"}
_MISSING = object()


class Token(NamedTuple):
    """One token. `kind` is name, keyword, string, number, bind, datasource, op or end; `at` its offset."""

    kind: str
    value: Any
    at: int


def tokenize(text: str) -> list[Token]:
    """All tokens, the last of kind `end`. Raises ArangoError 1501 at a character that starts none."""
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise syntax_error(text, Token("op", text[at], at))
        if match.lastgroup != "space":
            tokens.append(_token(match.lastgroup or "", match.group(), at))
        at = match.end()
    return [*tokens, Token("end", "", len(text))]


def _token(kind: str, text: str, at: int) -> Token:
    if kind == "name" and text.upper() in _KEYWORDS:
        return Token("keyword", text.upper(), at)
    if kind == "op" and text in _SYNONYMS:
        return Token("keyword", _SYNONYMS[text], at)
    if kind in ("quoted", "string"):
        return Token("name" if kind == "quoted" else kind, _unescape(text[1:-1]), at)
    if kind == "number":
        return Token(kind, _number(text), at)
    return Token(kind, text.lstrip("@"), at)


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPED.get(code, code)

    if "\\" not in text:
        return text
    return _ESCAPE.sub(replace, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(text: str) -> int | float:
    try:
        value = int(text, 0) if text[:2].lower() in ("0x", "0b") else read_json(text)
        return value if value < 2**63 else float(value)
    except (ValueError, OverflowError):
        raise ArangoError(1504, "number out of range") from None


def syntax_error(text: str, token: Token) -> ArangoError:
    """Error 1501 at a token: what was unexpected, the text near it, line and column."""
    at = token.at
    what = _DESCRIBED.get(token.kind) or _OPERATORS.get(token.value, token.value)
    near = text[at:] if len(text) - at <= 32 else text[at : at + 32] + "..."
    place = f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"
    return ArangoError(1501, f"syntax error, unexpected {what} near '{near}' at position {place}")


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

    @property
    def token(self) -> Token:
        """The token not yet consumed."""
        return self.tokens[self.at]

    def peek(self, *values: str, ahead: int = 0) -> bool:
        """Whether a token is one of these keywords or operators."""
        token = self.tokens[min(self.at + ahead, len(self.tokens) - 1)]
        return token.kind in ("keyword", "op") and token.value in values

    def take(self, *values: str) -> str:
        """Consume one of these keywords or operators if it is next: which one, or an empty string."""
        if not self.peek(*values):
            return ""
        self.at += 1
        return str(self.tokens[self.at - 1].value)

    def take_word(self, word: str) -> bool:
        """Consume a word that is a keyword only here if it is next."""
        found = self.token.kind == "name" and self.token.value.upper() == word
        self.at += found
        return found

    def expect(self, *values: str) -> None:
        """Consume one of these keywords or operators. Raises ArangoError 1501 if something else is next."""
        if not self.take(*values):
            raise self.unexpected()

    def name(self) -> str:
        """Consume an identifier. Raises ArangoError 1501 if something else is next."""
        if self.token.kind != "name":
            raise self.unexpected()
        self.at += 1
        return str(self.tokens[self.at - 1].value)

    def unexpected(self) -> ArangoError:
        """The syntax error of the next token."""
        return syntax_error(self.text, self.token)

    def bound(self, prefix: str = "") -> Any:
        """Consume a bind parameter and give its value. Raises ArangoError 1551 when it has none."""
        name = prefix + str(self.token.value)
        self.at += 1
        self.used[name] = None
        if self.bind is None:
            return None
        value = self.bind.get(name, _MISSING)
        if value is _MISSING:
            raise ArangoError(1551, f"no value specified for declared bind parameter '{name}' (while parsing)")
        return value

    def bound_name(self, prefix: str = "") -> str:
        """Consume a bind parameter that names a collection or attribute. Raises ArangoError 1551, 1553."""
        name = str(self.token.value)
        value = self.bound(prefix)
        if self.bind is not None and (not isinstance(value, str) or not value):
            raise ArangoError(1553, f"bind parameter '{prefix}{name}' has an invalid value or type (while parsing)")
        return value or prefix + name
