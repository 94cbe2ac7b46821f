"""Date functions: milliseconds since 1970 or ISO 8601 text in, the same out (AQL manual: "Date functions")."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.values import is_number, to_number, truth

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"\s*(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?"
    r"(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{1,2}:?\d{2})?|Z)?\s*\Z",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,3}))?S)?)?\Z",
    re.IGNORECASE,
)
_UNITS = {
    "y": "year", "year": "year", "years": "year", "m": "month", "month": "month", "months": "month",
    "w": "week", "week": "week", "weeks": "week", "d": "day", "day": "day", "days": "day",
    "h": "hour", "hour": "hour", "hours": "hour", "i": "minute", "minute": "minute", "minutes": "minute",
    "s": "second", "second": "second", "seconds": "second",
    "f": "millisecond", "millisecond": "millisecond", "milliseconds": "millisecond",
}  # fmt: skip
_MILLIS = {"week": 604800000, "day": 86400000, "hour": 3600000, "minute": 60000, "second": 1000, "millisecond": 1}
_FIELDS = ("year", "month", "day", "hour", "minute", "second", "millisecond")


def _invalid() -> AqlWarning:
    return AqlWarning(1572, "invalid date value")


def parse(value: Any) -> datetime:
    """A timestamp or ISO text as UTC time. Raises AqlWarning 1572, or 1542 for another type."""
    if is_number(value):
        try:
            return _EPOCH + timedelta(milliseconds=int(value))
        except OverflowError:
            raise _invalid() from None
    if not isinstance(value, str):
        raise AqlWarning(1542, "invalid argument type in call to function, date expected")
    match = _ISO.match(value)
    if match is None:
        raise _invalid()
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        made = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        made += timedelta(hours=int(hour or 0), minutes=int(minute or 0), seconds=int(second or 0), microseconds=micros)
        return made - _offset(zone)
    except (ValueError, OverflowError):
        raise _invalid() from None


def _offset(zone: str | None) -> timedelta:
    if not zone or zone in "zZ":
        return timedelta(0)
    digits = zone[1:].replace(":", "").rjust(4, "0")
    sign = -1 if zone[0] == "-" else 1
    return sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))


def millis(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def text(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z".rjust(24, "0")


def iso_text(stamp: int) -> str:
    """Milliseconds as ISO text."""
    return text(parse(stamp))


def _from_parts(args: tuple[Any, ...]) -> datetime:
    if len(args) == 1:
        return parse(args[0])
    if len(args) < 3:
        raise AqlWarning(1541, "invalid number of arguments for a date")
    parts = [int(to_number(part)) for part in args]
    try:
        made = datetime(parts[0], parts[1], parts[2], tzinfo=UTC)
    except ValueError:
        raise _invalid() from None
    rest = [*parts[3:], 0, 0, 0, 0][:4]
    return made + timedelta(hours=rest[0], minutes=rest[1], seconds=rest[2], milliseconds=rest[3])


def _unit(name: Any) -> str:
    if not isinstance(name, str) or name.lower() not in _UNITS:
        raise AqlWarning(1572, "invalid date value")
    return _UNITS[name.lower()]


def _shift(moment: datetime, amount: float, unit: str) -> datetime:
    if unit in _MILLIS:
        return moment + timedelta(milliseconds=amount * _MILLIS[unit])
    months = moment.year * 12 + moment.month - 1 + int(amount) * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    over = max(moment.day - calendar.monthrange(year, month + 1)[1], 0)
    return moment.replace(year=year, month=month + 1, day=moment.day - over) + timedelta(days=over)


def _added(date: Any, amount: Any, unit: Any, sign: int) -> str:
    moment = parse(date)
    try:
        if unit is not None:
            return text(_shift(moment, sign * to_number(amount), _unit(unit)))
        match = _DURATION.match(amount) if isinstance(amount, str) else None
        if match is None or amount in ("P", "PT"):
            raise _invalid()
        names = ("year", "month", "week", "day", "hour", "minute", "second")
        for name, number in zip(names, match.groups(), strict=False):
            moment = _shift(moment, sign * int(number or 0), name)
        return text(_shift(moment, sign * int((match.group(8) or "0").ljust(3, "0")), "millisecond"))
    except (ValueError, OverflowError):
        raise _invalid() from None


def _diff(one: Any, two: Any, unit: Any, fraction: Any = False) -> Any:
    name = _unit(unit)
    gap = millis(parse(two)) - millis(parse(one))
    size = {"year": 31556952000, "month": 2629746000, **_MILLIS}[name]
    return gap / size if truth(fraction) else int(gap / size)


def _trunc(date: Any, unit: Any) -> str:
    moment, name = parse(date), _unit(unit)
    if name == "week":
        moment -= timedelta(days=moment.weekday())
        name = "day"
    values = [getattr(moment, field) for field in _FIELDS[:6]] + [moment.microsecond // 1000]
    kept = values[: _FIELDS.index(name) + 1] + [1, 1, 1, 0, 0, 0, 0][_FIELDS.index(name) + 1 :]
    return text(datetime(kept[0], kept[1], kept[2], kept[3], kept[4], kept[5], kept[6] * 1000, UTC))


def _round(date: Any, amount: Any, unit: Any) -> str:
    name = _unit(unit)
    if name not in _MILLIS or to_number(amount) <= 0:
        raise _invalid()
    size = int(to_number(amount) * _MILLIS[name])
    return iso_text(millis(parse(date)) // size * size)


def _compare(one: Any, two: Any, start: Any, end: Any = None) -> bool:
    a, b = parse(one), parse(two)
    first = _FIELDS.index(_unit(start))
    last = _FIELDS.index(_unit(end)) if end is not None else first
    return all(_part(a, name) == _part(b, name) for name in _FIELDS[first : last + 1])


def _part(moment: datetime, name: str) -> int:
    return moment.microsecond // 1000 if name == "millisecond" else int(getattr(moment, name))


def _format(date: Any, pattern: Any) -> str:
    moment = parse(date)
    codes: dict[str, Callable[[], Any]] = {
        "%yyyy": lambda: f"{moment.year:04}", "%yy": lambda: f"{moment.year % 100:02}", "%y": lambda: moment.year,
        "%mmmm": lambda: calendar.month_name[moment.month], "%mmm": lambda: calendar.month_abbr[moment.month],
        "%mm": lambda: f"{moment.month:02}", "%m": lambda: moment.month,
        "%dd": lambda: f"{moment.day:02}", "%d": lambda: moment.day,
        "%hh": lambda: f"{moment.hour:02}", "%h": lambda: moment.hour,
        "%ii": lambda: f"{moment.minute:02}", "%i": lambda: moment.minute,
        "%ss": lambda: f"{moment.second:02}", "%s": lambda: moment.second,
        "%fff": lambda: f"{moment.microsecond // 1000:03}", "%f": lambda: moment.microsecond // 1000,
        "%xxx": lambda: f"{moment.timetuple().tm_yday:03}", "%x": lambda: moment.timetuple().tm_yday,
        "%wwww": lambda: f"{moment:%A}", "%www": lambda: f"{moment:%a}", "%w": lambda: moment.isoweekday() % 7,
        "%kk": lambda: f"{moment.isocalendar().week:02}", "%k": lambda: moment.isocalendar().week,
        "%q": lambda: (moment.month + 2) // 3, "%l": lambda: int(calendar.isleap(moment.year)),
        "%a": lambda: calendar.monthrange(moment.year, moment.month)[1], "%t": lambda: millis(moment),
        "%z": lambda: text(moment), "%%": lambda: "%",
    }  # fmt: skip
    words = "|".join(re.escape(code) for code in sorted(codes, key=len, reverse=True))
    return re.sub(words, lambda match: str(codes[match.group()]()), str(pattern))


def _zone(date: Any, name: Any, to_utc: bool) -> str:
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, TypeError, ValueError):
        raise _invalid() from None
    moment = parse(date)
    if to_utc:
        return text(moment.replace(tzinfo=zone).astimezone(UTC))
    return text(moment.astimezone(zone).replace(tzinfo=UTC))


def is_datestring(value: Any) -> bool:
    """Whether this text is a date."""
    try:
        return isinstance(value, str) and bool(parse(value))
    except AqlWarning:
        return False


def _of(read: Callable[[datetime], Any]) -> Callable[[Any], Any]:
    return lambda date: read(parse(date))


DATES: Mapping[str, Callable[..., Any]] = {
    "DATE_NOW": lambda: int(time.time() * 1000),
    "DATE_TIMESTAMP": lambda *parts: millis(_from_parts(parts)),
    "DATE_ISO8601": lambda *parts: text(_from_parts(parts)),
    "DATE_YEAR": _of(lambda moment: moment.year),
    "DATE_MONTH": _of(lambda moment: moment.month),
    "DATE_DAY": _of(lambda moment: moment.day),
    "DATE_HOUR": _of(lambda moment: moment.hour),
    "DATE_MINUTE": _of(lambda moment: moment.minute),
    "DATE_SECOND": _of(lambda moment: moment.second),
    "DATE_MILLISECOND": _of(lambda moment: moment.microsecond // 1000),
    "DATE_DAYOFWEEK": _of(lambda moment: moment.isoweekday() % 7),
    "DATE_DAYOFYEAR": _of(lambda moment: moment.timetuple().tm_yday),
    "DATE_ISOWEEK": _of(lambda moment: moment.isocalendar().week),
    "DATE_ISOWEEKYEAR": _of(lambda m: {"week": m.isocalendar().week, "year": m.isocalendar().year}),
    "DATE_LEAPYEAR": _of(lambda moment: calendar.isleap(moment.year)),
    "DATE_QUARTER": _of(lambda moment: (moment.month + 2) // 3),
    "DATE_DAYS_IN_MONTH": _of(lambda moment: calendar.monthrange(moment.year, moment.month)[1]),
    "DATE_ADD": lambda date, amount, unit=None: _added(date, amount, unit, 1),
    "DATE_SUBTRACT": lambda date, amount, unit=None: _added(date, amount, unit, -1),
    "DATE_DIFF": _diff,
    "DATE_TRUNC": _trunc,
    "DATE_ROUND": _round,
    "DATE_COMPARE": _compare,
    "DATE_FORMAT": _format,
    "DATE_UTCTOLOCAL": lambda date, zone: _zone(date, zone, False),
    "DATE_LOCALTOUTC": lambda date, zone: _zone(date, zone, True),
    "DATE_TIMEZONE": lambda: "Etc/UTC",
}
