"""Regular expressions as Go's regexp package has them: RE2's syntax, in time linear in the text.

Python's `re` backtracks, and lets no other thread run meanwhile: one request with `(a+)+$` would end a whole emulator.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2


class InvalidRegexpError(ValueError):
    """RE2 does not read the pattern; look-around and back-references are such."""


@lru_cache(maxsize=512)
def _compiled(pattern: str, insensitive: bool, dot_newline: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not insensitive
    options.dot_nl = dot_newline
    try:
        return re2.compile(_text(pattern), options)
    except re2.error as error:
        raise InvalidRegexpError(_told(error)) from None


def _text(text: str) -> str:
    """As Go's JSON decoder has it: half a surrogate pair becomes U+FFFD, for UTF-8 cannot say it."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _told(error: Exception) -> str:
    said = error.args[0]
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def check(pattern: str) -> None:
    """Raises InvalidRegexpError with RE2's words."""
    _compiled(pattern, False, False)


def fits(pattern: str, text: str, *, insensitive: bool = False, dot_newline: bool = False) -> bool:
    """Whether the whole text matches. Raises InvalidRegexpError."""
    return _compiled(pattern, insensitive, dot_newline).fullmatch(_text(text)) is not None


def occurs(pattern: str, text: str, *, insensitive: bool = False, dot_newline: bool = False) -> bool:
    """Whether some part of the text matches. Raises InvalidRegexpError."""
    return _compiled(pattern, insensitive, dot_newline).search(_text(text)) is not None
