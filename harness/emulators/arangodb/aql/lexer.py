"""AQL text to tokens (AQL manual: "Syntax")."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from harness.emulators.arangodb.errors import ArangoError

KEYWORDS_TEXT = """
    AGGREGATE ALL ALL_SHORTEST_PATHS AND ANY ASC COLLECT DESC DISTINCT FALSE FILTER FOR GRAPH IN INBOUND INSERT
    INTO K_PATHS K_SHORTEST_PATHS LET LIKE LIMIT NONE NOT NULL OR OUTBOUND REMOVE REPLACE RETURN SHORTEST_PATH
    SORT TRUE UPDATE UPSERT WINDOW WITH
"""
KEYWORDS = frozenset(KEYWORDS_TEXT.split())

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
_DESCRIBED = {
    "name": "identifier",
    "string": "quoted string",
    "bind": "bind parameter",
    "datasource": "bind data source parameter",
    "end": "end of query string",
}
_OPERATORS = {"=": "assignment", ",": "comma", ":": "colon", "?": "?", "==": "== operator", "..": ".. operator"}
_DECLARATIONS_TEXT = """
    FOR LET FILTER RETURN COLLECT SORT LIMIT WINDOW DISTINCT ASC DESC INTO WITH INSERT UPDATE
"""
_DECLARATIONS = frozenset(_DECLARATIONS_TEXT.split())


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
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(_token(kind, match.group(), at))
        at = match.end()
    tokens.append(Token("end", "", len(text)))
    return tokens


def _token(kind: str, text: str, at: int) -> Token:
    if kind == "name" and text.upper() in KEYWORDS:
        return Token("keyword", text.upper(), at)
    if kind == "op" and text in _SYNONYMS:
        return Token("keyword", _SYNONYMS[text], at)
    if kind == "quoted":
        return Token("name", _unescape(text[1:-1]), at)
    if kind == "string":
        return Token("string", _unescape(text[1:-1]), at)
    if kind == "number":
        return Token("number", _number(text), at)
    return Token(kind, text.lstrip("@") if kind in ("bind", "datasource") else text, at)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPED.get(code, code)

    plain = _ESCAPE.sub(replace, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(text: str) -> int | float:
    if text[:2].lower() in ("0x", "0b"):
        return int(text, 0)
    if "." in text or "e" in text.lower():
        return float(text)
    value = int(text)
    return value if value < 2**63 else float(value)


def syntax_error(text: str, token: Token) -> ArangoError:
    """Error 1501 at a token: what was unexpected, the text near it, line and column."""
    if token.kind == "keyword":
        what = token.value + (" declaration" if token.value in _DECLARATIONS else " keyword")
    elif token.kind == "number":
        what = "integer number" if isinstance(token.value, int) else "number"
    else:
        what = _DESCRIBED.get(token.kind) or _OPERATORS.get(token.value, token.value)
    return parse_error(text, token.at, f"syntax error, unexpected {what}")


def parse_error(text: str, at: int, message: str, number: int = 1501) -> ArangoError:
    """An error found while parsing, with its place as the server writes it."""
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    near = text[at:] if len(text) - at <= 32 else text[at : at + 32] + "..."
    return ArangoError(number, f"{message} near '{near}' at position {line}:{column}")
