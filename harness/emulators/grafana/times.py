"""Go durations, RFC 3339 stamps and Grafana's relative time ranges, in seconds (since the epoch)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from .errors import plain

ZERO_TIME = "0001-01-01T00:00:00Z"
"""Go's zero time: "not yet" in Alertmanager's words."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "M": 2592000.0, "y": 31536000.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwMy])")


def seconds_of(text: object) -> float:
    """`1h30m`, `10s`, `500ms`, `0` or a bare number of seconds. Raises ValueError for anything else."""
    raw = str(text).strip()
    if re.fullmatch(r"\d+(\.\d+)?", raw):
        return float(raw)
    parts = _PART.findall(raw)
    if not parts or "".join(number + unit for number, unit in parts) != raw:
        raise ValueError(f"not a valid duration string: {raw!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def duration_text(seconds: float) -> str:
    """Prometheus' way to write a duration, to the millisecond: `1h30m`, `1s500ms`, `0s`."""
    rest, words = round(seconds * 1000), ""
    for unit in ("h", "m", "s", "ms"):
        count, rest = divmod(rest, int(_UNITS[unit] * 1000))
        words += f"{count}{unit}" if count else ""
    return words or "0s"


def iso(when: float, places: int = 0) -> str:
    """RFC 3339 in UTC with `places` digits of fraction (0, 3 or 6)."""
    stamp = datetime.fromtimestamp(when, UTC)
    spec = {0: "seconds", 3: "milliseconds", 6: "microseconds"}[places]
    return stamp.isoformat(timespec=spec).replace("+00:00", "Z")


def from_iso(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 stamp. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()


def moment_ms(text: object, now: float) -> int:
    """`now`, `now-1h`, or epoch milliseconds, as epoch milliseconds. Raises the API's 400 for anything else."""
    raw = str(text)
    if raw == "now":
        return int(now * 1000)
    match = re.fullmatch(r"now([-+])(\d+[smhdwMy])", raw)
    if match:
        sign = -1 if match[1] == "-" else 1
        return int((now + sign * seconds_of(match[2])) * 1000)
    if re.fullmatch(r"-?\d+", raw):
        return int(raw)
    raise plain(400, f"bad request data: invalid time {raw!r}")
