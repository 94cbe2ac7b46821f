"""Text as Go writes it: JSON with Go's float and HTML rules, durations, and the errors of strconv and time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

NANOS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
LONG_NANOS = {**NANOS, "d": 86400 * 10**9, "w": 7 * 86400 * 10**9, "y": 365 * 86400 * 10**9}
"""Prometheus units on top of Go's; TraceQL and some settings take both."""

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w|y)")


def parse_duration(text: str, units: Mapping[str, int] = NANOS) -> int:
    """Nanoseconds of a Go duration such as `1h30m` or `1.5s`. Raises ValueError in Go's words."""
    body = text.lstrip("+-")
    if body == "0":
        return 0
    total, end = 0.0, 0
    for match in _PART.finditer(body):
        if match.start() != end or match[2] not in units:
            break
        total += float(match[1]) * units[match[2]]
        end = match.end()
    if not body or end != len(body):
        raise ValueError(f'time: invalid duration "{text}"')
    return round(-total if text.startswith("-") else total)


def format_duration(nanos: int) -> str:
    """A duration as Go's `time.Duration.String`: `1m30s`, `266.666666ms`, `0s`."""
    if nanos == 0:
        return "0s"
    sign, nanos = ("-" if nanos < 0 else ""), abs(nanos)
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanos < min(size * 1000, 10**9):
            return f"{sign}{_fraction(nanos, size)}{unit}"
    minutes, rest = divmod(nanos, 60 * 10**9)
    text = f"{_fraction(rest, 10**9)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{minutes}m{text}"
        text = f"{hours}h{text}" if hours else text
    return sign + text


def _fraction(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


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
