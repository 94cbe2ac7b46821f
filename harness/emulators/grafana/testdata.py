"""The TestData data source: frames made from the query alone. The wave scenarios depend only on absolute time."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from .errors import not_emulated
from .frames import MULTI, Answer, Column, Frame, Span

MAX_POINTS = 10_000
Query = dict[str, Any]


def run(query: Query, span: Span) -> Answer | None:
    """One query; None when the backend has no answer for its refId."""
    scenario = str(query.get("scenarioId") or query.get("queryType") or "random_walk")
    if scenario == "no_data_points":
        return None
    if scenario not in SCENARIOS:
        raise not_emulated(f"TestData scenario {scenario!r}")
    return SCENARIOS[scenario](query, span)


def csv_column(name: str, texts: list[str]) -> Column:
    """A column of the first type that fits all texts: bool (by the first one), int64, float64, string."""
    blank = {"", "null"}
    if texts[0].upper() in {"T", "F", "TRUE", "FALSE"}:
        values: list[Any] = [None if t.lower() in blank else t.upper() in {"T", "TRUE"} for t in texts]
        return Column(name, "bool", values, nullable=True)
    for go, convert in (("int64", _go_int), ("float64", float)):
        try:
            values = [None if t in blank else convert(t) for t in texts]
        except ValueError:
            continue
        if values[-1] is not None or any(v is not None for v in values):
            return Column(name, go, values, nullable=True)
    return Column(name, "string", [None if t in blank else t for t in texts], nullable=True)


def _go_int(text: str) -> int:
    if not re.fullmatch(r"[-+]?\d+", text):
        raise ValueError(text)
    return int(text)


def _labels(text: object) -> dict[str, str]:
    pairs = [part.partition("=") for part in str(text or "").strip("{} ").split(",") if "=" in part]
    return {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def _as_time(column: Column) -> Column:
    if column.go in {"int64", "float64"}:
        return Column(column.name, "time.Time", [None if v is None else int(v) for v in column.values], nullable=True)
    stamps = [_stamp(value) for value in column.values]
    return Column(column.name, "time.Time", stamps, nullable=True) if any(s is not None for s in stamps) else column


def _stamp(value: object) -> int | None:
    try:
        return int(datetime.fromisoformat(str(value)).timestamp() * 1000) if "T" in str(value) else None
    except ValueError:
        return None


def _csv_content(query: Query, _: Span) -> Answer | None:
    rows = [
        [cell.strip(" ") for cell in row] for row in csv.reader(str(query.get("csvContent") or "").splitlines()) if row
    ]
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        return None  # Grafana logs the error and leaves the refId out
    columns = []
    for index, name in enumerate(rows[0]):
        texts = [row[index] for row in rows[1:]]
        if not texts:
            continue
        column = csv_column(name, texts)
        column = _as_time(column) if "time" in name.lower() else column
        labels = _labels(name[name.index("{") :]) if "{" in name else {}
        if labels:
            column.name, column.labels = name[: name.index("{")], labels
        columns.append(column)
    return Answer([Frame(str(query.get("alias") or ""), columns)])


def _series_name(query: Query, index: int = 0) -> str:
    return str(query.get("alias") or f"{query.get('refId', 'A')}-series{index or ''}")


def _csv_metric_values(query: Query, span: Span) -> Answer:
    text = str(query.get("stringInput") or "").replace(" ", "")
    if not text:
        return Answer([Frame(meta={"executedQueryString": text})])
    column = csv_column(_series_name(query), text.split(","))
    count = len(column.values)
    step = (span.end - span.start) // (count - 1) if count > 1 else 0
    return Answer([Frame("", [Column("time", "time.Time", [span.start + i * step for i in range(count)]), column])])


def _pulse(query: Query, span: Span) -> Answer | None:
    wave = query.get("pulseWave") or {}
    try:
        step, on, off = (int(wave.get(key) or 0) for key in ("timeStep", "onCount", "offCount"))
        high, low = (None if wave.get(k) in (None, "null") else float(wave[k]) for k in ("onValue", "offValue"))
    except (TypeError, ValueError):
        return None
    if step <= 0 or on + off <= 0:
        return None
    first, ms = span.start - span.start % (step * 1000), step * 1000
    times = list(range(first, span.end, ms))[:MAX_POINTS]
    values = [high if t % (ms * (on + off)) < on * ms else low for t in times]
    labels = _labels(query.get("labels")) or None
    columns = [Column("Time", "time.Time", times), Column("Value", "float64", values, labels, nullable=True)]
    return Answer([Frame(_series_name(query), columns, dict(MULTI))])


def random_walk(query: Query, span: Span, index: int = 0) -> Frame:
    """A walk that is the same for the same range: seeded, as Grafana's, by range and series (not the same numbers)."""
    dice = random.Random(span.start + span.end + index)
    start = query.get("startValue")
    value = float(start) if start is not None else dice.random() * 100
    low, high = float(query.get("min", "-inf")), float(query.get("max", "inf"))
    spread, noise, drop = (float(query.get(k) or d) for k, d in (("spread", 1), ("noise", 0), ("dropPercent", 0)))
    times, values = [], []
    for when in range(span.start, span.end, max(span.step, 1))[:MAX_POINTS]:
        value = min(max(value, low), high)
        if dice.random() * 100 >= drop:
            times.append(when)
            values.append(min(max(value + dice.random() * noise, low), high))
        value += (dice.random() - 0.5) * spread
    labels = _labels(query.get("labels")) or None
    time = Column("time", "time.Time", times, config={"interval": span.step})
    number = Column(_series_name(query, index), "float64", values, labels, nullable=True)
    return Frame("", [time, number], dict(MULTI) | {"custom": {"customStat": 10}})


def _walks(query: Query, span: Span) -> Answer:
    return Answer([random_walk(query, span, i) for i in range(int(query.get("seriesCount") or 1))])


def _error_with_source(query: Query, _: Span) -> Answer:
    return Answer([], "error", "downstream" if query.get("errorSource") == "downstream" else "plugin", 500)


SCENARIOS: dict[str, Callable[[Query, Span], Answer | None]] = {
    "csv_content": _csv_content,
    "csv_metric_values": _csv_metric_values,
    "predictable_pulse": _pulse,
    "random_walk": _walks,
    "error_with_source": _error_with_source,
}
"""Scenario id -> how its answer is made."""
