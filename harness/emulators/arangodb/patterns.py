"""Texts held against patterns: regular expressions, and what `LIKE` takes."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache

from harness.emulators import regexps


def occurs(pattern: str, text: str, insensitive: bool = False) -> bool:
    """Whether a regular expression occurs in the text. Raises re.error for an invalid one.

    RE2 where it means what ICU does: not beyond ASCII, where ICU's classes are Unicode's, nor across lines, where ICU's
    `$` also stands before the last line's end; and it has neither look-around nor back-references.
    """
    if (pattern + text).isascii() and "\n" not in text:
        with suppress(regexps.InvalidRegexpError):
            return regexps.occurs(pattern, text, insensitive=insensitive)
    return re.search(pattern, text, re.IGNORECASE if insensitive else 0) is not None


def alike(pattern: str, text: str, insensitive: bool = False) -> bool:
    """Whether the whole text is like the pattern, with `%`, `_` and backslash escapes."""
    return regexps.fits(_of_like(pattern), text, insensitive=insensitive, dot_newline=True)


@lru_cache(maxsize=256)
def _of_like(pattern: str) -> str:
    out, letters = [], iter(pattern)
    for letter in letters:
        if letter == "\\":
            out.append(re.escape(next(letters, "\\")))
        else:
            out.append({"%": ".*", "_": "."}.get(letter) or re.escape(letter))
    return "".join(out)
