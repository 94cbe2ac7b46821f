"""The Prometheus text format 0.0.4 and OpenMetrics 1.0.0, as Go's client library prints them. No sockets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
OPEN_METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"


@dataclass(frozen=True)
class Exemplar:
    """A trace behind a value; `timestamp` in seconds since the epoch."""

    labels: Mapping[str, str]
    value: float
    timestamp: float


@dataclass(frozen=True)
class Sample:
    """One line: `suffix` is appended to the family's name; `integer` prints a count without a fraction."""

    suffix: str
    labels: Mapping[str, str]
    value: float
    exemplar: Exemplar | None = None
    integer: bool = False
    timestamp: float | None = None


@dataclass(frozen=True)
class Family:
    """All series of one name. `name` of a counter holds its `_total`."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def render(families: Iterable[Family], open_metrics: bool) -> str:
    """The families, sorted by name, in one of the two formats."""
    lines: list[str] = []
    for family in sorted(families, key=lambda item: item.name):
        is_counter = family.kind == "counter"
        title = family.name.removesuffix("_total") if open_metrics and is_counter else family.name
        kind = "unknown" if open_metrics and family.kind == "untyped" else family.kind
        lines += [f"# HELP {title} {_escape_help(family.help)}", f"# TYPE {title} {kind}"]
        name = f"{title}_total" if open_metrics and is_counter else family.name
        lines += [_line(name, sample, open_metrics) for sample in family.samples]
    if open_metrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n" if lines else ""


def _line(name: str, sample: Sample, open_metrics: bool) -> str:
    pairs = [(key, sample.labels[key]) for key in sorted(sample.labels) if key not in {"le", "quantile"}]
    bounds = [key for key in ("le", "quantile") if key in sample.labels]
    pairs += [(key, number(float(sample.labels[key]), open_metrics)) for key in bounds]
    value = str(int(sample.value)) if sample.integer else number(sample.value, open_metrics)
    text = f"{name}{sample.suffix}{_labels(pairs)} {value}"
    if sample.timestamp is not None:
        text += f" {number(sample.timestamp, True)}" if open_metrics else f" {int(sample.timestamp * 1000)}"
    if open_metrics and sample.exemplar:
        found = sample.exemplar
        text += f" # {_labels(sorted(found.labels.items())) or '{}'} {number(found.value, True)}"
        text += f" {number(found.timestamp, True)}"
    return text


def _labels(pairs: Iterable[tuple[str, str]]) -> str:
    body = ",".join(f'{key}="{_escape(value)}"' for key, value in pairs)
    return f"{{{body}}}" if body else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escape_help(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def number(value: float, open_metrics: bool = False) -> str:
    """A float as Go's shortest `%g`: an exponent from 1e+06 on or below 1e-4; OpenMetrics wants a fraction."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = _shortest(value) if value else "0"
    return text if not open_metrics or "." in text or "e" in text else f"{text}.0"


def _shortest(value: float) -> str:
    mantissa, _, exponent_text = f"{value!r}e0".partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    raw = whole + ("" if fraction == "0" else fraction)
    exponent = len(whole) - 1 + int(exponent_text.removesuffix("e0") or 0)
    stripped = raw.lstrip("0")
    exponent -= len(raw) - len(stripped)
    digits = stripped.rstrip("0") or "0"
    sign = "-" if value < 0 else ""
    if exponent < -4 or exponent >= 6:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    if len(digits) <= exponent + 1:
        return sign + digits + "0" * (exponent + 1 - len(digits))
    return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"
