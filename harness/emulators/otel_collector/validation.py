"""What each component's own Validate refuses, in its words. Every check gives a reason, or an empty text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def problem(kind: str, settings: Mapping[str, Any]) -> str:
    """Why decoded settings of a component type are refused; empty when they are fine."""
    return _PROBLEMS.get(kind, _nothing)(settings)


def _nothing(_settings: Mapping[str, Any]) -> str:
    return ""


def _otlp_receiver(settings: Mapping[str, Any]) -> str:
    protocols = settings["protocols"]
    return "" if any(protocols.values()) else "must specify at least one protocol when using the OTLP receiver"


def _memory_limiter(settings: Mapping[str, Any]) -> str:
    if settings["check_interval"] <= 0:
        return "'check_interval' must be greater than zero"
    if not settings["limit_mib"] and not settings["limit_percentage"]:
        return "'limit_mib' or 'limit_percentage' must be greater than zero"
    if settings["limit_percentage"] > 100 or settings["spike_limit_percentage"] > 100:
        return (
            "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and "
            "less than or equal to hundred"
        )
    if 0 < settings["limit_mib"] <= settings["spike_limit_mib"]:
        return "'spike_limit_mib' must be smaller than 'limit_mib'"
    return ""


def _batch(settings: Mapping[str, Any]) -> str:
    if 0 < settings["send_batch_max_size"] < settings["send_batch_size"]:
        return "send_batch_max_size must be greater or equal to send_batch_size"
    return "timeout must be greater or equal to 0" if settings["timeout"] < 0 else ""


def _sending(settings: Mapping[str, Any]) -> str:
    if settings["compression"] not in {"gzip", "none", ""}:
        return f"compression: {settings['compression']!r} is not emulated (501)"
    queue = settings["sending_queue"]
    if queue["num_consumers"] <= 0:
        return "sending_queue: `num_consumers` must be positive"
    if queue["queue_size"] <= 0:
        return "sending_queue: `queue_size` must be positive"
    return "" if queue["sizer"] in {"requests", "items", "bytes"} else f"sending_queue: invalid sizer: {queue['sizer']}"


def _otlp_grpc(settings: Mapping[str, Any]) -> str:
    return _sending(settings) if settings["endpoint"] else 'requires a non-empty "endpoint"'


def _otlp_http(settings: Mapping[str, Any]) -> str:
    if not any(settings[key] for key in ("endpoint", "traces_endpoint", "metrics_endpoint", "logs_endpoint")):
        return "at least one endpoint must be specified"
    return _sending(settings) if settings["encoding"] == "proto" else "encoding: only proto is emulated (501)"


def _prometheus(settings: Mapping[str, Any]) -> str:
    return "" if settings["endpoint"] else "expecting a non-empty endpoint"


def _span_metrics(settings: Mapping[str, Any]) -> str:
    if settings["histogram"]["unit"] not in {"ms", "s"}:
        return f"unknown Unit {settings['histogram']['unit']!r}"
    names = {"service.name", "span.kind", "status.code", "span.name", "collector.instance.id"}
    for dimension in settings["dimensions"]:
        if not isinstance(dimension, Mapping) or not isinstance(dimension.get("name"), str):
            return f"failed validating dimensions: only dimensions with a name are emulated (501), found {dimension!r}"
        if dimension["name"] in names:
            return f"failed validating dimensions: duplicate dimension name {dimension['name']}"
        names.add(dimension["name"])
    return ""


_PROBLEMS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "otlp": _otlp_receiver,
    "memory_limiter": _memory_limiter,
    "batch": _batch,
    "otlp_grpc": _otlp_grpc,
    "otlp_http": _otlp_http,
    "prometheus": _prometheus,
    "span_metrics": _span_metrics,
    "attributes": lambda settings: "" if settings["actions"] else 'missing required field "actions"',
    "resource": lambda settings: "" if settings["attributes"] else 'missing required field "attributes"',
}
