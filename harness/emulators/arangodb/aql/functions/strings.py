"""String functions (AQL manual: "String functions")."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.operators import found, like
from harness.emulators.arangodb.aql.values import read_json, to_number, to_string, truth

_SPACE = " \t\r\n\0\x0b"


def _join(separator: Any, *parts: Any) -> str:
    """All parts with the separator between; nulls are left out, one array is taken apart."""
    if len(parts) == 1 and isinstance(parts[0], list):
        parts = tuple(parts[0])
    return to_string(separator).join(to_string(part) for part in parts if part is not None)


def _contains(text: Any, part: Any, where: Any = False) -> Any:
    """Whether (or where, -1 for nowhere) the part is in the text."""
    at = to_string(text).find(to_string(part)) if part != "" else -1
    return at if truth(where) else at >= 0


def _trim(text: Any, letters: Any = 0) -> str:
    """Without spaces (or given letters) at both ends, or with 1 or 2 instead of letters at the left or right only."""
    plain, gone = to_string(text), letters if isinstance(letters, str) else _SPACE
    plain = plain if letters == 2 else plain.lstrip(gone)
    return plain if letters == 1 else plain.rstrip(gone)


def _substring(text: Any, offset: Any, count: Any = None) -> str:
    """A part; a negative offset counts from the end."""
    plain, at = to_string(text), int(to_number(offset))
    at = max(len(plain) + at, 0) if at < 0 else at
    return plain[at:] if count is None else plain[at : at + max(int(to_number(count)), 0)]


def _split(text: Any, separator: Any = None, limit: Any = None) -> Any:
    """The parts between separators, at most `limit` of them."""
    plain = to_string(text)
    if separator is None:
        return [plain]
    separators = [to_string(item) for item in (separator if isinstance(separator, list) else [separator])]
    parts = list(plain) if "" in separators else re.split("|".join(map(re.escape, separators)), plain)
    return parts if limit is None else parts[: int(to_number(limit))]


def _starts_with(text: Any, prefix: Any) -> bool:
    return any(to_string(text).startswith(to_string(p)) for p in (prefix if isinstance(prefix, list) else [prefix]))


def _json_parse(text: Any) -> Any:
    try:
        return read_json(text)
    except (TypeError, ValueError):
        raise AqlWarning(1542, "invalid argument type in call to function 'JSON_PARSE()'") from None


STRINGS: Mapping[str, Callable[..., Any]] = {
    "CONCAT": lambda *parts: _join("", *parts),
    "CONCAT_SEPARATOR": _join,
    "CONTAINS": _contains,
    "LOWER": lambda text: to_string(text).lower(),
    "UPPER": lambda text: to_string(text).upper(),
    "TRIM": _trim,
    "LTRIM": lambda text, letters=_SPACE: to_string(text).lstrip(to_string(letters)),
    "RTRIM": lambda text, letters=_SPACE: to_string(text).rstrip(to_string(letters)),
    "SUBSTRING": _substring,
    "SPLIT": _split,
    "LEFT": lambda text, count: _substring(text, 0, count),
    "RIGHT": lambda text, count: to_string(text)[max(len(to_string(text)) - int(to_number(count)), 0) :],
    "STARTS_WITH": _starts_with,
    "LIKE": lambda text, pattern, insensitive=False: like(text, pattern, truth(insensitive)),
    "REGEX_TEST": lambda text, pattern, ci=False: found(to_string(pattern), to_string(text), truth(ci)),
    "CHAR_LENGTH": lambda text: len(to_string(text)),
    "JSON_PARSE": _json_parse,
    "JSON_STRINGIFY": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    "UUID": lambda: str(uuid.uuid4()),
}
