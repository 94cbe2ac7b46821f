"""What each component's own Validate refuses, in its words, and what of its values is not emulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def problem(kind: str, settings: Mapping[str, Any]) -> str:
    """Why decoded settings of a component type are refused; empty when they are fine."""
    check = _PROBLEMS.get(kind)
    return check(settings) if check else ""


def _otlp_receiver(settings: Mapping[str, Any]) -> str:
    protocols = settings["protocols"]
    return "" if any(protocols.values()) else "must specify at least one protocol when using the OTLP receiver"


def _memory_limiter(settings: Mapping[str, Any]) -> str:
    if settings["check_interval"] <= 0:
        return "'check_interval' must be greater than zero"
    if not settings["limit_mib"]:
        return "'limit_mib' or 'limit_percentage' must be greater than zero"
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
    for name in ("num_consumers", "queue_size"):
        if settings["sending_queue"][name] <= 0:
            return f"sending_queue: `{name}` must be positive"
    return ""


def _otlp_grpc(settings: Mapping[str, Any]) -> str:
    if not settings["endpoint"]:
        return 'requires a non-empty "endpoint"'
    if settings["endpoint"].startswith("https://") or not (
        settings["tls"]["insecure"] or settings["endpoint"].startswith("http://")
    ):
        return "tls: only insecure connections are emulated (501)"
    return _sending(settings)


def _otlp_http(settings: Mapping[str, Any]) -> str:
    if not settings["endpoint"]:
        return "at least one endpoint must be specified"
    if not settings["endpoint"].startswith("http://"):
        return "endpoint: only http:// is emulated (501)"
    return _sending(settings)


def _prometheus(settings: Mapping[str, Any]) -> str:
    if not settings["without_scope_info"]:
        return "without_scope_info as false is not emulated (501)"
    return "" if settings["endpoint"] else "expecting a non-empty endpoint"


_PROBLEMS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "otlp": _otlp_receiver,
    "memory_limiter": _memory_limiter,
    "batch": _batch,
    "otlp_grpc": _otlp_grpc,
    "otlp_http": _otlp_http,
    "prometheus": _prometheus,
    "debug": lambda settings: "" if settings["verbosity"] == "basic" else "verbosity: only basic is emulated (501)",
    "attributes": lambda settings: "" if settings["actions"] else 'missing required field "actions"',
    "resource": lambda settings: "" if settings["attributes"] else 'missing required field "attributes"',
}
