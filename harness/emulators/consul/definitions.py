"""What may be registered at the agent: validation and defaults of service and check definitions.

Source: the service and check definition pages; the texts and their order captured from 1.8.7.
"""

from __future__ import annotations

import re
from typing import Any

from .errors import ConsulError, bad_request, not_emulated

_STATES = {"", "passing", "warning", "critical"}
_ACTIVE = ("HTTP", "TCP", "GRPC", "UDP", "Args", "H2PING", "DockerContainerID")
_GAPS = ("GRPC", "UDP", "H2PING", "DockerContainerID", "AliasService", "AliasNode")
_GAPS_OF_HTTP = ("Method", "Header", "Body", "SuccessBeforePassing", "FailuresBeforeCritical")
_SERVICE_FIELDS = {"Kind", "Tags", "Meta", "Port", "Address", "EnableTagOverride"}


def service_definition(body: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(service row on the wire, its check definitions with ids). Raises ConsulError (400, or 501)."""
    name = body.get("Name", "")
    if not name:
        raise bad_request("Missing service name")
    if body.get("Address") in {"0.0.0.0", "::", "[::]"}:
        raise bad_request("Invalid service address")
    if len(body.get("Meta", {})) > 64:
        raise bad_request("Invalid Service Meta: Node metadata cannot contain more than 64 key/value pairs")
    for key, value in body.get("Meta", {}).items():
        _verify_meta(key, value)
    weights = {"Passing": 0, "Warning": 0, **body["Weights"]} if "Weights" in body else {"Passing": 1, "Warning": 1}
    if weights["Passing"] < 1:
        raise bad_request("Invalid Weights: Passing must be greater than 0")
    if "Connect" in body or "Proxy" in body or body.get("Kind"):
        raise not_emulated("service mesh registration (Kind, Connect, Proxy)")
    service_id = body.get("ID") or name
    given = ([body["Check"]] if "Check" in body else []) + body.get("Checks", [])
    checks = []
    for at, check in enumerate(given, 1):
        if check.get("TTL") or check.get("Interval") or any(check.get(kind) for kind in _ACTIVE):
            default = f"service:{service_id}" if len(given) == 1 else f"service:{service_id}:{at}"
            named = {"CheckID": check.get("CheckID") or default, "Name": check.get("Name") or f"Service '{name}' check"}
            checks.append({**_verified(check), **named, "ServiceID": service_id})
    service = {key: value for key, value in body.items() if key in _SERVICE_FIELDS}
    return {**service, "ID": service_id, "Service": name, "Weights": weights, **_tagged(body)}, checks


def _verify_meta(key: str, value: str) -> None:
    cause = "Value is too long (limit: 512 characters)" if len(value) > 512 else ""
    if len(key) > 128:
        cause = "Key is too long (limit: 128 characters)"
    if not re.fullmatch(r"[A-Za-z0-9_-]+", key):
        cause = "Key contains invalid characters" if key else "Key cannot be blank"
    if cause:
        raise bad_request(f"Invalid Service Meta: Couldn't load metadata pair ('{key}', '{value}'): {cause}")


def _tagged(body: dict[str, Any]) -> dict[str, Any]:
    tagged = body.get("TaggedAddresses") or {}
    own = {"Address": body.get("Address", ""), "Port": body.get("Port", 0)}
    if re.fullmatch(r"[0-9.]+", own["Address"]):
        tagged = {"lan_ipv4": own, "wan_ipv4": own} | tagged
    return {"TaggedAddresses": tagged} if tagged else {}


def check_definition(body: dict[str, Any]) -> dict[str, Any]:
    """A definition for PUT /v1/agent/check/register, with its id. Raises ConsulError (400, 500 or 501)."""
    if not body.get("Name"):
        raise bad_request("Missing check name")
    if body.get("Status", "") not in _STATES:
        raise bad_request("Bad check status")
    return {**_verified(body), "CheckID": body.get("CheckID") or body["Name"]}


def _verified(check: dict[str, Any]) -> dict[str, Any]:
    active = [kind for kind in _ACTIVE if check.get(kind)]
    if active and check.get("Interval", 0) <= 0:
        raise bad_request("Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks")
    if check.get("Interval") and check.get("TTL"):
        raise bad_request("Invalid check: Interval and TTL cannot both be specified")
    for gap in _GAPS:
        if check.get(gap):
            raise not_emulated(f"{gap} of a check")
    if not active and check.get("TTL", 0) <= 0:
        raise bad_request("Invalid check: TTL must be > 0 for TTL checks")
    if check.get("Args"):
        off = "Scripts are disabled on this agent from remote calls"
        raise ConsulError(f"{off}; to enable, configure 'enable_script_checks' to true")
    for gap in _GAPS_OF_HTTP:
        if check.get(gap):
            raise not_emulated(f"{gap} of an HTTP check")
    if str(check.get("HTTP", "")).startswith("https:"):
        raise not_emulated("an HTTP check over TLS")
    if check.get("Status", "") not in _STATES:
        raise bad_request("Status for checks must 'passing', 'warning', 'critical'")
    return {**check, "Type": active[0].lower() if active else "ttl"}
