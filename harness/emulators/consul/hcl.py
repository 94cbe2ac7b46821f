"""The subset of HCL that `-hcl` fragments and ACL rules use: assignments, labelled blocks, lists, comments; or JSON.

Blocks become nested objects: `key_prefix "a/" { policy = "read" }` is `{"key_prefix": {"a/": {"policy": "read"}}}`.
"""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(
    r'\s+|#[^\n]*|//[^\n]*|(?P<value>"(?:\\.|[^"\\])*"|-?\d+(?:\.\d+)?(?![\w.])|\b(?:true|false)\b)'
    r"|(?P<word>[A-Za-z_][\w.-]*)|(?P<mark>[{}\[\]=,:])"
)


class HclError(ValueError):
    """Text outside the subset."""


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._tokens, position = text, list[tuple[str, str, int]](), 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._fail("illegal character", position)
            if match.lastgroup:
                self._tokens.append((match.lastgroup, match.group(), position))
            position = match.end()
        self._tokens.append(("end", "", len(text)))
        self._at = 0

    def _fail(self, what: str, position: int) -> HclError:
        before = self._text[:position]
        return HclError(f"At {before.count(chr(10)) + 1}:{position - before.rfind(chr(10))}: {what}")

    def _next(self, *wanted: str) -> tuple[str, str]:
        kind, text, position = self._tokens[self._at]
        if wanted and kind not in wanted and text not in wanted:
            raise self._fail(f"expected: {' | '.join(wanted)} got: {text or 'EOF'}", position)
        self._at += 1
        return kind, text

    def _take(self, *marks: str) -> str:
        text = self._tokens[self._at][1]
        self._at += text in marks
        return text if text in marks else ""

    def body(self, end: str) -> dict[str, Any]:
        """Assignments and blocks up to `end`: `}`, or nothing for the end of the text."""
        found: dict[str, Any] = {}
        while self._tokens[self._at][1] != end:
            if not self._take(","):
                self._item(found, self._next("word", "value")[1].strip('"'))
        self._next()
        return found

    def _item(self, found: dict[str, Any], name: str) -> None:
        if self._take("=", ":"):
            found[name] = self._value()
        elif self._take("{"):
            found[name] = {**found.get(name, {}), **self.body("}")}
        else:
            self._item(found.setdefault(name, {}), self._next("value", "=", "{")[1].strip('"'))

    def _value(self) -> Any:
        if self._take("{"):
            return self.body("}")
        if not self._take("["):
            return json.loads(self._next("value")[1])
        found = []
        while not self._take("]"):
            found.append(self._value())
            if not self._take(","):
                self._next("]")
                break
        return found


def parse_hcl(text: str) -> dict[str, Any]:
    """The object that a fragment of HCL (or JSON) describes. Raises HclError."""
    if not text.lstrip().startswith("{"):
        return _Reader(text).body("")
    try:
        return dict(json.loads(text))
    except ValueError as error:
        raise HclError(str(error)) from None
