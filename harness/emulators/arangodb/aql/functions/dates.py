"""Date functions: milliseconds since 1970 or ISO 8601 text in, the same out (AQL manual: "Date functions")."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.values import is_number, to_number, truth

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"\d{4}(-\d{2}(-\d{2}([T ]\d.*|Z)?)?)?\Z")
_MILLIS = {"week": 604800000, "day": 86400000, "hour": 3600000, "minute": 60000, "second": 1000, "millisecond": 1}
_SIZES = {"year": 31556952000, "month": 2629746000, **_MILLIS}
_SHORT = {"y": "year", "m": "month", "w": "week", "d": "day", "h": "hour", "i": "minute", "s": "second",
          "f": "millisecond"}  # fmt: skip


def _invalid() -> AqlWarning:
    return AqlWarning(1572, "invalid date value")


def parse(value: Any) -> datetime:
    """A timestamp or ISO text as UTC time. Raises AqlWarning 1572, or 1542 for another type."""
    if not is_number(value) and not isinstance(value, str):
        raise AqlWarning(1542, "invalid argument type in call to function, date expected")
    try:
        if is_number(value):
            return _EPOCH + timedelta(milliseconds=int(value))
        plain = value.strip().upper()
        if not _ISO.match(plain):
            raise _invalid()
        made = datetime.fromisoformat(plain.rstrip("Z") + {4: "-01-01", 7: "-01"}.get(len(plain), ""))
        return made.replace(tzinfo=made.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _invalid() from None


def millis(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z".rjust(24, "0")


def _unit(name: Any) -> str:
    known = _SHORT.get(str(name).lower(), str(name).lower().removesuffix("s"))
    if known not in _SIZES:
        raise _invalid()
    return known


def _shift(moment: datetime, amount: float, unit: str) -> datetime:
    """So many units later; a day that the month does not have runs over into the next."""
    if unit in _MILLIS:
        return moment + timedelta(milliseconds=amount * _MILLIS[unit])
    months = moment.year * 12 + moment.month - 1 + int(amount) * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    over = max(moment.day - calendar.monthrange(year, month + 1)[1], 0)
    return moment.replace(year=year, month=month + 1, day=moment.day - over) + timedelta(days=over)


def _add(date: Any, amount: Any, unit: Any, sign: int = 1) -> str:
    moment, name = parse(date), _unit(unit)
    try:
        return _text(_shift(moment, sign * to_number(amount), name))
    except (ValueError, OverflowError):
        raise _invalid() from None


def _diff(one: Any, two: Any, unit: Any, fraction: Any = False) -> Any:
    gap = (millis(parse(two)) - millis(parse(one))) / _SIZES[_unit(unit)]
    return gap if truth(fraction) else int(gap)


def _trunc(date: Any, unit: Any) -> str:
    moment, name = parse(date), _unit(unit)
    if name == "year":
        moment = moment.replace(month=1)
    if name in ("year", "month"):
        moment, name = moment.replace(day=1), "day"
    if name == "week":
        moment, name = moment - timedelta(days=moment.weekday()), "day"
    return _text(moment - timedelta(milliseconds=millis(moment) % _MILLIS[name]))


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
    "DATE_TIMESTAMP": lambda date: millis(parse(date)),
    "DATE_ISO8601": lambda date: _text(parse(date)),
    "DATE_YEAR": _of(lambda moment: moment.year),
    "DATE_MONTH": _of(lambda moment: moment.month),
    "DATE_DAY": _of(lambda moment: moment.day),
    "DATE_HOUR": _of(lambda moment: moment.hour),
    "DATE_MINUTE": _of(lambda moment: moment.minute),
    "DATE_SECOND": _of(lambda moment: moment.second),
    "DATE_MILLISECOND": _of(lambda moment: moment.microsecond // 1000),
    "DATE_DAYOFWEEK": _of(lambda moment: moment.isoweekday() % 7),
    "DATE_ADD": lambda date, amount, unit: _add(date, amount, unit),
    "DATE_SUBTRACT": lambda date, amount, unit: _add(date, amount, unit, -1),
    "DATE_DIFF": _diff,
    "DATE_TRUNC": _trunc,
}
