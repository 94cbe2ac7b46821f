"""Text as Go writes it: JSON with Go's float and HTML rules, and the errors of strconv."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from harness.emulators.go_durations import SECOND, UNITS

LONG_UNITS = {**UNITS, "d": 86400 * SECOND, "w": 7 * 86400 * SECOND, "y": 365 * 86400 * SECOND}
"""Prometheus units on top of Go's; TraceQL and some settings take both."""


def format_float(value: float) -> str:
    """A float as Go's encoding/json: shortest form, no `.0`, `1e-9` rather than `1e-09`."""
    if value != value or value in (float("inf"), float("-inf")):
        return '"NaN"' if value != value else f'"{"-" if value < 0 else ""}Infinity"'
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return re.sub(r"e([+-])0*(\d+)", r"e\1\2", repr(value))


def quote(text: str) -> str:
    """A JSON string with the escapes Go adds so that JSON can stand inside HTML."""
    body = json.dumps(text, ensure_ascii=False)
    return body.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def dumps(value: Any) -> str:
    """Compact JSON of plain data as Go's encoder writes it."""
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{quote(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    return "[" + ",".join(map(dumps, value)) + "]"


def parse_uint(text: str, bits: int = 32) -> int:
    """An unsigned number as strconv.ParseUint reads it. Raises ValueError in its words."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) >= 1 << bits:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)
