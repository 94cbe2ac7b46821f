"""Compose's variable interpolation: `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:?error}`,
`${VAR?error}`, `${VAR:+replacement}`, `${VAR+replacement}`, nested braces, and `$$` for a dollar sign.

Source: Compose specification, "Interpolation".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")


class InterpolationError(ValueError):
    """A variable that is required and not set, or a `$` that starts nothing."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """`text` with every variable replaced; an unset plain variable becomes empty, as Compose does.

    Raises InterpolationError for a required variable that is missing and for malformed braces.
    """
    return _expand(text, lambda name: variables.get(name))


def _expand(text: str, look_up: Callable[[str], str | None]) -> str:
    parts: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        value, at = _one(text, dollar + 1, look_up)
        parts.append(value)
    return "".join(parts) + text[at:]


def _one(text: str, at: int, look_up: Callable[[str], str | None]) -> tuple[str, int]:
    if text.startswith("$", at):
        return "$", at + 1
    if text.startswith("{", at):
        end = _closing(text, at)
        return _braced(text[at + 1 : end], look_up), end + 1
    match = _NAME.match(text, at)
    if not match:
        raise InterpolationError(f"invalid `$` in {text!r}: expected a name, or $$ for a dollar sign")
    return look_up(match.group()) or "", match.end()


def _closing(text: str, opening: int) -> int:
    depth = 0
    for index in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise InterpolationError(f"unclosed brace in {text!r}")


def _braced(inner: str, look_up: Callable[[str], str | None]) -> str:
    match = _NAME.match(inner)
    if not match:
        raise InterpolationError(f"invalid name in ${{{inner}}}")
    name, tail = match.group(), inner[match.end() :]
    operator = next((sign for sign in _OPERATORS if tail.startswith(sign)), "")
    if tail and not operator:
        raise InterpolationError(f"invalid interpolation ${{{inner}}}")
    return _apply(name, operator, tail[len(operator) :], look_up)


def _apply(name: str, operator: str, word: str, look_up: Callable[[str], str | None]) -> str:
    value = look_up(name)
    missing = not value if operator.startswith(":") else value is None
    match operator[-1:]:
        case "-":
            return _expand(word, look_up) if missing else value or ""
        case "+":
            return "" if missing else _expand(word, look_up)
        case "?":
            if missing:
                raise InterpolationError(f"required variable {name} is not set: {word or 'no message given'}")
            return value or ""
        case _:
            return value or ""
