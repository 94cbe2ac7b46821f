"""Go durations: `1h30m`, `500ms`, in nanoseconds, with the error texts of Go's `time.ParseDuration`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

SECOND = 1_000_000_000
"""One second in nanoseconds, the unit of a Go duration."""

UNITS: Mapping[str, int] = MappingProxyType(
    {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
)
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")


def parse_duration(text: str, units: Mapping[str, int] = UNITS) -> int:
    """Nanoseconds of a duration whose `units` are Go's, or more than those. Raises ValueError in Go's words."""
    rest = text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return 0
    total, position = 0.0, 0
    while part := _PART.match(rest, position):
        number, unit = part.groups()
        if unit not in units:
            what = f'unknown unit "{unit}"' if unit else "missing unit"
            raise ValueError(f'time: {what} in duration "{text}"')
        total += float(number) * units[unit]
        position = part.end()
    if not rest or position != len(rest) or total >= 2**63:
        raise ValueError(f'time: invalid duration "{text}"')
    return round(-total if text.startswith("-") else total)


def format_duration(nanoseconds: int) -> str:
    """A duration as Go prints it: `10s`, `24h0m0s`, `1.5s`, `266.666666ms`, `0s`."""
    if nanoseconds < 0:
        return "-" + format_duration(-nanoseconds)
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if 0 < nanoseconds < size * 1000:
            return _decimal(nanoseconds, size) + unit
    minutes, rest = divmod(nanoseconds, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{_decimal(rest, SECOND)}s"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    return f"{whole}.{str(rest).zfill(len(str(size)) - 1).rstrip('0')}" if rest else str(whole)


def parse_seconds(text: str) -> float:
    """`parse_duration` in seconds."""
    return parse_duration(text) / SECOND


def format_seconds(seconds: float) -> str:
    """`format_duration` of seconds."""
    return format_duration(round(seconds * SECOND))
