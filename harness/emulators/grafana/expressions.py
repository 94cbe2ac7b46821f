"""Server side expressions: math, reduce and threshold over the answers of other queries."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable
from typing import Any

from .errors import GrafanaError, not_emulated, public
from .frames import Answer
from .math_expression import Math
from .values import Number, Value, frames_of, number


def references(query: dict[str, Any]) -> list[str]:
    """The refIds an expression reads."""
    text = str(query.get("expression") or "")
    if query.get("type") == "math":
        return [a or b for a, b in re.findall(r"\$(?:\{([^}]+)\}|(\w+))", text)]
    return [text.lstrip("$")] if text else []


def run(query: dict[str, Any], inputs: dict[str, list[Value]]) -> Answer:
    """Evaluate one expression. Raises 400 for a text that does not parse, 501 for other kinds of expression."""
    kind, ref = str(query.get("type") or ""), str(query["refId"])
    if kind == "math":
        values = Math(str(query.get("expression") or ""), inputs, ref).run()
    elif kind in {"reduce", "threshold"}:
        source = inputs.get((references(query) or [""])[0], [])
        try:
            values = (_reduce if kind == "reduce" else _threshold)(query, source)
        except (TypeError, ValueError, AttributeError) as error:
            raise _unparsed(query, "its settings are of the wrong type") from error
    else:
        raise not_emulated(f"expression type {kind!r}")
    return Answer(frames_of(values, ref))


def _unparsed(query: dict[str, Any], text: str) -> GrafanaError:
    return public(400, "sse.parseError", f"failed to parse expression [{query['refId']}]: {text}")


REDUCERS: dict[str, Callable[[list[float]], float]] = {
    "last": lambda v: v[-1],
    "mean": statistics.fmean,
    "sum": math.fsum,
    "min": min,
    "max": max,
    "median": statistics.median,
}
"""`count` counts also what is missing and stands apart."""


def _reduce(query: dict[str, Any], source: list[Value]) -> list[Value]:
    reducer, settings = str(query.get("reducer")), query.get("settings") or {}
    if reducer != "count" and reducer not in REDUCERS:
        raise _unparsed(query, f"reducer {reducer!r} not supported")
    return [number(_reduced(value, reducer, settings), value.labels) for value in source]


def _reduced(value: Value, reducer: str, settings: dict[str, Any]) -> Number:
    cells = [math.nan if v is None else v for _, v in value.points]
    bad = [not math.isfinite(v) for v in cells]
    if settings.get("mode") == "dropNN":
        cells = [v for v, b in zip(cells, bad, strict=True) if not b]
    elif settings.get("mode") == "replaceNN":
        other = float(settings.get("replaceWithValue") or 0)
        cells = [other if b else v for v, b in zip(cells, bad, strict=True)]
    if reducer == "count":
        return float(len(cells))
    if not cells:
        return None if settings.get("mode") == "dropNN" else (0.0 if reducer == "sum" else math.nan)
    if any(map(math.isnan, cells)) and reducer != "last":
        return math.nan
    return REDUCERS[reducer](cells)


EVALUATORS: dict[str, Callable[[float, list[float]], bool]] = {
    "gt": lambda v, p: v > p[0],
    "lt": lambda v, p: v < p[0],
    "gte": lambda v, p: v >= p[0],
    "lte": lambda v, p: v <= p[0],
    "eq": lambda v, p: v == p[0],
    "ne": lambda v, p: v != p[0],
    "within_range": lambda v, p: min(p[:2]) < v < max(p[:2]),
    "outside_range": lambda v, p: v < min(p[:2]) or v > max(p[:2]),
}


def _threshold(query: dict[str, Any], source: list[Value]) -> list[Value]:
    evaluator = ((query.get("conditions") or [{}])[0]).get("evaluator") or {}
    test, params = EVALUATORS.get(str(evaluator.get("type"))), [float(p) for p in evaluator.get("params") or []]
    if test is None or not params:
        raise _unparsed(query, "invalid threshold condition")

    def cell(v: Number) -> Number:
        return None if v is None else float(test(v, params))

    return [Value(value.labels, tuple((t, cell(v)) for t, v in value.points)) for value in source]
