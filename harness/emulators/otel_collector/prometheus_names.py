"""From OpenTelemetry names and units to Prometheus names, as the translator package does with escaping to `_`."""

from __future__ import annotations

import re

_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts",
    "g": "grams", "Cel": "celsius", "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
_PER = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}


def metric_name(name: str, unit: str, kind: str, namespace: str = "", suffixes: bool = True) -> str:
    """The family's name. `kind` is `counter`, `gauge`, `histogram` or `summary`."""
    tokens = [token for token in re.split(r"[^a-zA-Z0-9:]+", name) if token]
    if suffixes:
        main, _, per = unit.partition("/")
        word = "" if "{" in main else _UNITS.get(main.strip(), re.sub(r"\W", "", main))
        if word and word not in tokens:
            tokens.append(word)
        rate = "" if "{" in per else _PER.get(per.strip(), re.sub(r"\W", "", per))
        if rate and rate not in tokens:
            tokens += ["per", rate]
        if kind == "counter":
            tokens = [token for token in tokens if token != "total"] + ["total"]  # noqa: S105 - a metric suffix
        if kind == "gauge" and unit == "1" and "ratio" not in tokens:
            tokens.append("ratio")
    if namespace:
        tokens.insert(0, label_name(namespace))
    text = "_".join(tokens)
    return f"_{text}" if text[:1].isdigit() else text


def label_name(name: str) -> str:
    """A label's name: everything but letters, digits and `_` becomes `_`; a leading digit gets `key_` before it."""
    text = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    if text[:1].isdigit():
        return f"key_{text}"
    return f"key{text}" if text.startswith("_") and not text.startswith("__") else text
