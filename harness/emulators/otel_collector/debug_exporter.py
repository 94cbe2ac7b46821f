"""The debug and nop exporters: they send nowhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .logs import Log
from .signals import METRICS, Data, Signal, points


def debug_push(signal: Signal, settings: Mapping[str, Any], log: Log) -> Callable[[Data], Awaitable[None]]:
    """Logs one line per request, and the items themselves when `verbosity` is not `basic`."""
    title = signal.name.capitalize()

    async def push(data: Data) -> None:
        counts: dict[str, Any] = {f"resource {signal.name}": signal.group_count(data)}
        if signal is METRICS:
            counts["metrics"] = sum(len(scope.metrics) for _, scope in signal.scope_groups(data))
        counts[{"spans": "spans", "metric_points": "data points"}.get(signal.items, "log records")] = signal.count(data)
        log.write("info", "debugexporter/exporter.go:65", title, **counts)
        if settings["verbosity"] != "basic":
            log.write("info", "debugexporter/exporter.go:78", "\n".join(_lines(signal, data)))

    return push


def _lines(signal: Signal, data: Data) -> list[str]:
    lines = []
    for _, scope in signal.scope_groups(data):
        for leaf in getattr(scope, signal.leaves):
            if signal is METRICS:
                lines.append(f"{leaf.name} ({len(points(leaf))} data points)")
            else:
                lines.append(" ".join(str(leaf).split()))
    return lines


async def nop_push(data: Data) -> None:
    """Takes everything."""
