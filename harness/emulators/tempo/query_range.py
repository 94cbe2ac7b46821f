"""`/api/metrics/query_range` and `/api/metrics/query`: parameters and time windows around the aggregation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from harness.emulators.go_durations import format_duration, parse_duration
from harness.emulators.tempo.gotext import LONG_UNITS
from harness.emulators.tempo.instance import Instance
from harness.emulators.tempo.search import BadRequest, evaluator_of, query_rows
from harness.emulators.tempo.series import Aggregation, Window
from harness.emulators.tempo.traceql.parser import TraceQLError

SECOND = 10**9


def _moment(name: str, text: str) -> int:
    """Unix nanoseconds of a time given as seconds, nanoseconds or RFC 3339."""
    try:
        if text.isdigit():
            return int(text) * (SECOND if len(text) <= 10 else 1)
        if text.replace(".", "", 1).isdigit():
            return round(float(text) * SECOND)
        return round(datetime.fromisoformat(text).timestamp() * SECOND)
    except ValueError as error:
        raise BadRequest(f"could not parse '{name}' parameter: {error}") from error


def bounds(parameters: Mapping[str, str], now: int) -> tuple[int, int]:
    """Start and end in nanoseconds: given, or `since` (default one hour) before the end. Raises BadRequest."""
    end = _moment("end", parameters["end"]) if parameters.get("end") else now
    if parameters.get("start"):
        return _moment("start", parameters["start"]), end
    try:
        return end - parse_duration(parameters.get("since") or "1h", LONG_UNITS), end
    except ValueError as error:
        raise BadRequest(f"could not parse 'since' parameter: {error}") from error


def default_step(length: int) -> int:
    """The step Tempo chooses for a range of `length` nanoseconds: about 240 points."""
    baseline = length // 240
    if length < 60 * SECOND:
        grain = 50 * 10**6
        return max(baseline // grain * grain, grain)
    grains = (3600 * SECOND, 300 * SECOND, 60 * SECOND, 15 * SECOND, 5 * SECOND, SECOND)
    return next((baseline // grain * grain for grain in grains if baseline > grain), SECOND)


def step_of(parameters: Mapping[str, str], length: int) -> int:
    """The step in nanoseconds: a duration or a number of seconds. Raises BadRequest."""
    text = parameters.get("step", "")
    if not text:
        return default_step(length)
    try:
        step = round(float(text) * SECOND) if text.replace(".", "", 1).isdigit() else parse_duration(text, LONG_UNITS)
    except ValueError as error:
        raise BadRequest(f"could not parse 'step' parameter: {error}") from error
    if step <= 0:
        raise BadRequest("step must be greater than 0")
    return step


def query(instance: Instance, tenants: list[str], parameters: Mapping[str, str], *, instant: bool) -> dict[str, Any]:
    """The answer to a metrics query. Raises BadRequest, EvaluationError or NotEmulatedError."""
    now = int(instance.clock() * SECOND)
    try:
        evaluator = evaluator_of(instance, parameters.get("q", ""))
    except TraceQLError as error:
        raise BadRequest(str(error)) from error
    if evaluator.query.metrics is None:
        raise BadRequest("not a metrics query")
    start, end = bounds(parameters, now)
    end = (
        min(end, now - int(instance.settings.query_end_cutoff * SECOND)) if instance.settings.query_end_cutoff else end
    )
    if end <= start:
        raise BadRequest("end must be greater than start")
    if end - start > instance.settings.max_metrics_duration * SECOND:
        longest = format_duration(int(instance.settings.max_metrics_duration * SECOND))
        raise BadRequest(f"metrics query time range exceeds the maximum allowed duration of {longest}")
    step = end - start if instant else step_of(parameters, end - start)
    window = Window.instant(start, end) if instant else Window.aligned(start, end, step)
    per_second = 1.0 if "rate-off-by-step" in instance.defects else step / SECOND
    aggregation = Aggregation(evaluator, window, 0 if instant else instance.settings.max_exemplars, per_second)
    low = start if instant else window.first - step
    for tenant in tenants:
        for row in query_rows(instance, tenant, low // SECOND, -(-window.last // SECOND)):
            aggregation.add(row, low, window.last)
    series = aggregation.results()
    return {"series": [_instant(one) for one in series] if instant else series,
            "metrics": {"completedJobs": 1, "totalJobs": 1}}  # fmt: skip


def _instant(series: dict[str, Any]) -> dict[str, Any]:
    value = next((sample["value"] for sample in series["samples"] if "value" in sample), None)
    return {"labels": series["labels"]} | ({} if value is None else {"value": value})
