"""The subset of HCL that `-hcl` fragments and ACL rules use: assignments, labelled blocks, lists, objects, comments.

Blocks become nested objects: `key_prefix "a/" { policy = "read" }` is `{"key_prefix": {"a/": {"policy": "read"}}}`.
"""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(
    r'(?P<skip>\s+|#[^\n]*|//[^\n]*|/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\])*")|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])'
    r"|(?P<word>[A-Za-z_][\w.-]*)|(?P<mark>[{}\[\]=,:])",
    re.DOTALL,
)
_NAMES = {"{": "LBRACE", "}": "RBRACE", "[": "LBRACK", "]": "RBRACK", "=": "ASSIGN", ",": "COMMA", "": "EOF"}


class HclError(ValueError):
    """Text outside the subset; the message is that of HashiCorp's parser where it is known."""


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._scan())
        self._at = 0

    def _scan(self) -> Any:
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise HclError(f"At {self._place(position)}: illegal character")
            if match.lastgroup != "skip":
                yield str(match.lastgroup), match.group(), position
            position = match.end()
        yield "mark", "", len(self._text)

    def _place(self, position: int) -> str:
        before = self._text[:position]
        return f"{before.count(chr(10)) + 1}:{position - before.rfind(chr(10))}"

    def _next(self) -> tuple[str, str]:
        kind, text, _ = self._tokens[self._at]
        self._at += 1
        return kind, text

    def _peek(self) -> str:
        return str(self._tokens[self._at][1])

    def _fail(self, expected: str) -> HclError:
        kind, text, position = self._tokens[self._at - 1]
        got = _NAMES.get(text, text) if kind == "mark" else kind.upper()
        at = self._place(position + (not text))
        return HclError(f"At {at}: {expected} got: {got}")

    def body(self, end: str) -> dict[str, Any]:
        """Assignments and blocks up to `end` (`}` or the end of the text)."""
        found: dict[str, Any] = {}
        while True:
            kind, text = self._next()
            if kind == "mark" and text == end:
                return found
            if kind == "mark" and text == ",":
                continue
            if kind not in {"word", "string"}:
                raise self._fail("object expected closing RBRACE" if end else "expected: IDENT | STRING")
            self._item(found, json.loads(text) if kind == "string" else text)

    def _item(self, found: dict[str, Any], name: str) -> None:
        kind, text = self._next()
        if kind == "mark" and text in "=:" and text:
            found[name] = self._value()
        elif kind == "mark" and text == "{":
            block = self.body("}")
            found[name] = {**found[name], **block} if isinstance(found.get(name), dict) else block
        elif kind == "string":
            inner = found.setdefault(name, {})
            self._item(inner, json.loads(text))
        else:
            raise self._fail("expected: IDENT | STRING | ASSIGN | LBRACE")

    def _value(self) -> Any:
        kind, text = self._next()
        if kind == "string":
            return json.loads(text)
        if kind == "number":
            return json.loads(text)
        if kind == "word" and text in {"true", "false"}:
            return text == "true"
        if kind == "mark" and text == "{":
            return self.body("}")
        if kind == "mark" and text == "[":
            return self._list()
        raise self._fail("Unknown token")

    def _list(self) -> list[Any]:
        found = []
        while self._peek() != "]":
            found.append(self._value())
            if self._peek() == ",":
                self._next()
            elif self._peek() != "]":
                self._next()
                raise self._fail("error parsing list, expected comma or list end")
        self._next()
        return found


def parse_hcl(text: str) -> dict[str, Any]:
    """The object that a fragment of HCL (or JSON) describes. Raises HclError."""
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError as error:
            raise HclError(str(error)) from None
        return value if isinstance(value, dict) else {}
    return _Parser(text).body("")
