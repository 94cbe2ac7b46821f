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
            return f"::sending_queue: `{name}` must be positive"
    return _retry(settings["retry_on_failure"])


def _retry(settings: Mapping[str, Any]) -> str:
    """Source: configretry `BackOffConfig.Validate`, in its order."""
    if not settings["enabled"]:
        return ""
    where = "::retry_on_failure:"
    if settings["initial_interval"] < 0:
        return f"{where} 'initial_interval' must be non-negative"
    if not 0 <= settings["randomization_factor"] <= 1:
        return f"{where} 'randomization_factor' must be within [0, 1]"
    for name in ("multiplier", "max_interval", "max_elapsed_time"):
        if settings[name] < 0:
            return f"{where} '{name}' must be non-negative"
    for name in ("initial_interval", "max_interval"):
        if 0 < settings["max_elapsed_time"] < settings[name]:
            return f"{where} 'max_elapsed_time' must not be less than '{name}'"
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
