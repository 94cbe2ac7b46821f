"""The Prometheus text format 0.0.4 and OpenMetrics 1.0.0, as Go's client library prints them. No sockets."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from .distribution import Distribution

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


@dataclass(frozen=True)
class Family:
    """All series of one name. `name` of a counter holds its `_total`."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def histogram_samples(
    labels: Mapping[str, str], found: Distribution, exemplars: Iterable[Exemplar] = ()
) -> Iterator[Sample]:
    """The lines of one histogram series, each bucket with the last exemplar that fell into it."""
    by_bucket = {bisect_left(found.bounds, exemplar.value): exemplar for exemplar in exemplars}
    running = 0
    for index, bound in enumerate((*map(str, found.bounds), "+Inf")):
        running += found.counts[index]
        yield Sample("_bucket", {**labels, "le": bound}, running, by_bucket.get(index), integer=True)
    yield Sample("_sum", labels, found.total)
    yield Sample("_count", labels, running, integer=True)


def render(families: Iterable[Family], open_metrics: bool) -> str:
    """The families, sorted by name, in one of the two formats."""
    lines: list[str] = []
    for family in sorted(families, key=lambda item: item.name):
        plain = open_metrics and family.kind == "counter"
        title = family.name.removesuffix("_total") if plain else family.name
        lines += [f"# HELP {title} {_escape(family.help)}", f"# TYPE {title} {family.kind}"]
        name = f"{title}_total" if plain else family.name
        lines += [_line(name, sample, open_metrics) for sample in family.samples]
    if open_metrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n" if lines else ""


def _line(name: str, sample: Sample, open_metrics: bool) -> str:
    pairs = [(key, sample.labels[key]) for key in sorted(sample.labels) if key != "le"]
    if "le" in sample.labels:
        pairs.append(("le", number(float(sample.labels["le"]), open_metrics)))
    value = str(int(sample.value)) if sample.integer else number(sample.value, open_metrics)
    text = f"{name}{sample.suffix}{_labels(pairs)} {value}"
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


def number(value: float, open_metrics: bool = False) -> str:
    """A float as Go's shortest `%g`: an exponent from 1e+06 on or below 1e-4; OpenMetrics wants a fraction."""
    if not math.isfinite(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    sign, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    point = len(digits) + int(exponent) - 1
    if -4 <= point < 6 or not value:
        text = f"{Decimal(repr(float(value))).normalize():f}" if value else "0"
        return text if not open_metrics or "." in text else f"{text}.0"
    first, *rest = map(str, digits)
    return f"{'-' * sign}{first}{'.' * bool(rest)}{''.join(rest)}e{point:+03d}"
