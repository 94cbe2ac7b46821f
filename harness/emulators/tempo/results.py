"""Search results as Tempo shows them: one entry per trace, merged when a trace lies in several blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.emulators.go_durations import format_duration
from harness.emulators.tempo.spans import Span, TraceRow, Value
from harness.emulators.tempo.traceql.evaluate import Evaluator, Spanset
from harness.emulators.tempo.traceql.fetch import root_service

UNREPORTED = frozenset({"duration", "name", "traceDuration", "rootName", "rootServiceName", "trace:id", "span:id"})
"""Intrinsics that results do not repeat as attributes: the entry has a field for them."""


def any_value(value: Value, kind: str = "") -> dict[str, Any]:
    """A value in OTLP's JSON form; durations, keywords and nil are strings."""
    if kind == "duration" and isinstance(value, int):
        return {"stringValue": format_duration(value)}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"stringValue": "nil" if value is None else value}


def _span(span: Span, evaluator: Evaluator) -> dict[str, Any]:
    found = evaluator.reported(span)
    entry: dict[str, Any] = {"spanID": span.span_id.hex()}
    if any(attribute.intrinsic and attribute.name == "name" for attribute in found):
        entry["name"] = span.name
    entry["startTimeUnixNano"] = str(span.start)
    entry["durationNanos"] = str(span.duration)
    attributes = [
        {"key": attribute.name, "value": any_value(value, attribute.type)}
        for attribute, value in found.items()
        if not (attribute.intrinsic and attribute.name in UNREPORTED)
    ]
    return entry | ({"attributes": attributes} if attributes else {})


def _spanset(one: Spanset, evaluator: Evaluator, limit: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"spans": [_span(span, evaluator) for span in one.spans[:limit]], "matched": len(one.spans)}
    if one.attributes:
        entry["attributes"] = [
            {"key": key, "value": any_value(static.value, static.type)} for key, static in one.attributes
        ]
    return entry


def _statistics(row: TraceRow) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for span in row.spans:
        entry = counts.setdefault(str(span.owner.resource.get("service.name") or ""), {"spanCount": 0})
        entry["spanCount"] += 1
        if span.status == 2:
            entry["errorCount"] = entry.get("errorCount", 0) + 1
    return counts


def trace_entry(row: TraceRow) -> dict[str, Any]:
    """What every kind of search says of a trace. `traceID` loses its leading zeros, as in Tempo."""
    entry: dict[str, Any] = {"traceID": row.trace_id.hex().lstrip("0"), "rootServiceName": root_service(row.spans[0])}
    if row.root and row.root.name:
        entry["rootTraceName"] = row.root.name
    entry["startTimeUnixNano"] = str(row.start)
    milliseconds = row.duration // 10**6 & 0xFFFFFFFF
    return entry | ({"durationMs": milliseconds} if milliseconds else {})


def matched_entry(row: TraceRow, sets: list[Spanset], evaluator: Evaluator, spans_per_set: int) -> dict[str, Any]:
    """The entry of a trace that a TraceQL query matched."""
    shown = [_spanset(one, evaluator, spans_per_set) for one in sets]
    return trace_entry(row) | {"spanSet": shown[0], "spanSets": shown, "serviceStats": _statistics(row)}


def merge(entries: Iterable[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Entries of the same trace from different blocks become one; newest first, at most `limit`."""
    merged: dict[str, dict[str, Any]] = {}
    for entry in entries:
        known = merged.get(entry["traceID"])
        merged[entry["traceID"]] = _both(known, entry) if known else entry
    ordered = sorted(merged.values(), key=lambda entry: int(entry["startTimeUnixNano"]), reverse=True)
    return ordered[:limit]


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two fragments of a trace as one entry. As in Tempo nothing is added up: the same spans may be in both, so the
    larger number, the longer duration and the spanset with more matches stand for the trace."""
    rooted = other if "rootTraceName" in other and "rootTraceName" not in one else one
    found: dict[str, Any] = {
        key: rooted[key] for key in ("traceID", "rootServiceName", "rootTraceName") if key in rooted
    }
    found["startTimeUnixNano"] = str(min(int(entry["startTimeUnixNano"]) for entry in (one, other)))
    if longest := max(entry.get("durationMs", 0) for entry in (one, other)):
        found["durationMs"] = longest
    if "spanSets" not in one:
        return found
    sets = {_identity(entry): entry for entry in one["spanSets"]}
    for entry in other["spanSets"]:
        known = sets.setdefault(_identity(entry), entry)
        if entry["matched"] > known["matched"]:
            sets[_identity(entry)] = entry
    statistics = {name: dict(counts) for name, counts in one["serviceStats"].items()}
    for name, counts in other["serviceStats"].items():
        largest = statistics.setdefault(name, {})
        for key, count in counts.items():
            largest[key] = max(largest.get(key, 0), count)
    shown = list(sets.values())
    return found | {"spanSet": shown[0], "spanSets": shown, "serviceStats": statistics}


def _identity(spanset: dict[str, Any]) -> str:
    """What makes two spansets of a trace the same one: the groups of `by()`."""
    return str([item for item in spanset.get("attributes", ()) if item["key"].startswith("by")])
