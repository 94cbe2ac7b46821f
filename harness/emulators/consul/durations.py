"""Go durations: `1h30m`, `500ms`, in nanoseconds, with the error texts of Go's time.ParseDuration."""

from __future__ import annotations

import re

SECOND = 1_000_000_000
"""One second in nanoseconds, the unit of every duration in Consul's state."""

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration. Raises ValueError in Go's words."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, position = 0.0, 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            break
        number, unit = part.groups()
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * _UNITS[unit]
        position = part.end()
    if not rest or position != len(rest):
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * round(total)


def format_duration(nanoseconds: int) -> str:
    """A duration as Go prints it: `10s`, `24h0m0s`, `1.5s`, `500ms`, `0s`."""
    if nanoseconds < 0:
        return "-" + format_duration(-nanoseconds)
    if nanoseconds < SECOND:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if nanoseconds >= size:
                return _trimmed(nanoseconds / size) + unit
        return "0s"
    minutes, rest = divmod(nanoseconds, 60 * SECOND)
    seconds = _trimmed(rest / SECOND) + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _trimmed(number: float) -> str:
    return f"{number:.9f}".rstrip("0").rstrip(".")
