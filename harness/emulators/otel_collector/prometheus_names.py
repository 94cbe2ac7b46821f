"""From OpenTelemetry names and units to Prometheus names, as the translator package does with escaping to `_`."""

from __future__ import annotations

import re

_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "1": "",
    "%": "percent",
}  # fmt: skip
_PER = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


def metric_name(name: str, unit: str, kind: str, suffixes: bool = True) -> str:
    """The family's name. `kind` is `counter`, `gauge` or `histogram`."""
    tokens = [token for token in re.split(r"[^a-zA-Z0-9:]+", name) if token]
    if suffixes:
        main, _, per = unit.partition("/")
        word, rate = (
            "" if "{" in part else known.get(part.strip(), re.sub(r"\W", "", part))
            for part, known in ((main, _UNITS), (per, _PER))
        )
        if word and word not in tokens:
            tokens.append(word)
        if rate and rate not in tokens:
            tokens += ["per", rate]
        if kind == "counter":
            tokens = [token for token in tokens if token != "total"] + ["total"]  # noqa: S105 - a metric suffix
        if kind == "gauge" and unit == "1" and "ratio" not in tokens:
            tokens.append("ratio")
    text = "_".join(tokens)
    return f"_{text}" if text[:1].isdigit() else text


def label_name(name: str) -> str:
    """A label's name: everything but letters, digits and `_` becomes `_`; a leading digit gets `key_` before it."""
    text = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    if text[:1].isdigit():
        return f"key_{text}"
    return f"key{text}" if text.startswith("_") and not text.startswith("__") else text
