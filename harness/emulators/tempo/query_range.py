"""`/api/metrics/query_range` and `/api/metrics/query`: parameters and time windows around the aggregation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from harness.emulators.go_durations import format_duration, parse_duration
from harness.emulators.tempo.gotext import LONG_UNITS, dumps
from harness.emulators.tempo.instance import Instance
from harness.emulators.tempo.search import BadRequest, evaluator_of, query_rows
from harness.emulators.tempo.series import Aggregation, Window
from harness.emulators.tempo.traceql.parser import TraceQLError

SECOND = 10**9
REFUSED = "rpc error: code = Code(400) desc = "
"""How the errors of Tempo's inner HTTP over gRPC begin."""
SINCE = re.compile(r"0|(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?")
"""A duration as Prometheus writes it."""


def _moment(name: str, text: str) -> int:
    """Unix nanoseconds of a time given as seconds, nanoseconds or RFC 3339."""
    if text.isdigit():
        return int(text) * (SECOND if len(text) <= 10 else 1)
    with suppress(ValueError, OverflowError):
        return round(float(text) * SECOND)
    with suppress(ValueError):
        return round(datetime.fromisoformat(text).timestamp() * SECOND)
    said = f"strconv.ParseInt: parsing {dumps(text)}: invalid syntax"
    raise BadRequest(f"{REFUSED}could not parse '{name}' parameter: {said}")


def bounds(parameters: Mapping[str, str], now: int) -> tuple[int, int]:
    """Start and end in nanoseconds: given, or `since` (default one hour) before the end. Raises BadRequest."""
    end = _moment("end", parameters["end"]) if parameters.get("end") else now
    if parameters.get("start"):
        return _moment("start", parameters["start"]), end
    since = parameters.get("since") or "1h"
    if not SINCE.fullmatch(since):
        raise BadRequest(f"{REFUSED}could not parse 'since' parameter: not a valid duration string: {dumps(since)}")
    return min(end, now) - parse_duration(since, LONG_UNITS), end


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
    with suppress(ValueError, OverflowError):
        return round(float(text) * SECOND)
    with suppress(ValueError):
        return parse_duration(text)
    raise BadRequest(f"{REFUSED}cannot parse {dumps(text)} to a valid duration")


def query(instance: Instance, tenants: list[str], parameters: Mapping[str, str], *, instant: bool) -> dict[str, Any]:
    """The answer to a metrics query. Raises BadRequest, EvaluationError or NotEmulatedError."""
    now = int(instance.clock() * SECOND)
    settings = instance.settings
    start, end = bounds(parameters, now)
    end = min(end, now - int(settings.query_end_cutoff * SECOND)) if settings.query_end_cutoff else end
    step = end - start if instant else step_of(parameters, end - start)
    if end <= start:
        raise BadRequest("end must be greater than start")
    if step <= 0 or (settings.max_intervals and (end - start) // step > settings.max_intervals):
        shortest = format_duration((end - start) // (settings.max_intervals or 1))
        raise BadRequest(f"step of {format_duration(step)} is too small, minimum step for given range is {shortest}")
    try:
        evaluator = evaluator_of(instance, parameters.get("q") or parameters.get("query", ""))
    except TraceQLError as error:
        parsed = not str(error).startswith("parse error")
        raise BadRequest(f"compiling query: {error}" if parsed or instant else str(error)) from error
    if evaluator.query.metrics is None:
        raise BadRequest("not a metrics query")
    if not start:
        raise BadRequest("start required")
    if end - start > settings.max_metrics_duration * SECOND:
        longest = format_duration(int(settings.max_metrics_duration * SECOND))
        raise BadRequest(f"metrics query time range exceeds the maximum allowed duration of {longest}")
    window = Window.instant(start, end) if instant else Window.aligned(start, end, step)
    per_second = 1.0 if "rate-off-by-step" in instance.defects else step / SECOND
    aggregation = Aggregation(evaluator, window, 0 if instant else settings.max_exemplars, per_second)
    low = start if instant else window.first - step
    for tenant in tenants:
        for row in query_rows(instance, tenant, low // SECOND, -(-window.last // SECOND)):
            aggregation.add(row, low, window.last)
    series = aggregation.results()
    shown = {"series": [_instant(one) for one in series] if instant else series} if series or not instant else {}
    return shown | {"metrics": {"completedJobs": 1, "totalJobs": 1}}


def _instant(series: dict[str, Any]) -> dict[str, Any]:
    value = next((sample["value"] for sample in series["samples"] if "value" in sample), None)
    return {"labels": series["labels"]} | ({} if value is None else {"value": value})
