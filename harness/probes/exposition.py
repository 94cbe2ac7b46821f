"""Reading a page of metrics: the Prometheus text format and OpenMetrics, exemplars included."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_LABELS = r'\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}'
_SAMPLE = re.compile(rf"^([a-zA-Z_:][\w:]*)({_LABELS})? (\S+)(?: [^#\s]\S*)?(?: # ({_LABELS}) (\S+).*)?$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    """One line: a series and its value; `exemplar` holds the labels of its exemplar, empty when it has none."""

    name: str
    labels: Mapping[str, str]
    value: float
    exemplar: Mapping[str, str] = field(default_factory=dict)


def samples(text: str, name: str = "", **labels: str) -> list[Sample]:
    """The samples of a page, of one name when it is given, that carry at least these labels.

    Whether a counter ends in `_total` is up to the exporter's settings, so `name` is found with and without it.
    """
    wanted = labels.items()
    return [
        one
        for one in _all(text)
        if name in {"", one.name, one.name.removesuffix("_total")} and wanted <= one.labels.items()
    ]


def total(text: str, name: str, **labels: str) -> float:
    """The sum over `samples`; 0 when there is none, as a series that never counted is often absent."""
    return sum(one.value for one in samples(text, name, **labels))


def _all(text: str) -> Iterator[Sample]:
    for name, labels, value, exemplar, _ in _SAMPLE.findall(text):
        yield Sample(name, _pairs(labels), float(value), _pairs(exemplar))


def _pairs(text: str) -> dict[str, str]:
    return {
        key: re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), value)
        for key, value in _LABEL.findall(text)
    }
