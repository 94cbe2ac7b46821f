"""What may be registered at the agent: validation and defaults of service and check definitions.

Source: the service and check definition pages; the texts and their order captured from 1.8.7.
"""

from __future__ import annotations

import re
from typing import Any

from .errors import ConsulError, bad_request, not_emulated

_META_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STATES = {"", "passing", "warning", "critical"}
_ACTIVE = ("HTTP", "TCP", "GRPC", "UDP", "Args", "H2PING", "DockerContainerID")
_EMULATED = ("HTTP", "TCP")


def service_definition(body: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(service row on the wire, its check definitions with ids). Raises ConsulError (400, or 501)."""
    name = body.get("Name", "")
    if not name:
        raise bad_request("Missing service name")
    if body.get("Address") in {"0.0.0.0", "::", "[::]"}:
        raise bad_request("Invalid service address")
    _verify_meta(body.get("Meta", {}))
    weights = {"Passing": 0, "Warning": 0, **body["Weights"]} if "Weights" in body else {"Passing": 1, "Warning": 1}
    if weights["Passing"] < 1:
        raise bad_request("Invalid Weights: Passing must be greater than 0")
    service_id = body.get("ID") or name
    given = ([body["Check"]] if "Check" in body else []) + body.get("Checks", [])
    checks = [
        _service_check(check, service_id, name, at, len(given)) for at, check in enumerate(given, 1) if _is_check(check)
    ]
    if "Connect" in body or "Proxy" in body or body.get("Kind") in {"connect-proxy", "mesh-gateway"}:
        raise not_emulated("service mesh registration (Kind, Connect, Proxy)")
    service = {
        key: value
        for key, value in body.items()
        if key in {"Kind", "Tags", "Meta", "Port", "Address", "EnableTagOverride"}
    }
    return {**service, "ID": service_id, "Service": name, "Weights": weights, **_tagged(body)}, checks


def _tagged(body: dict[str, Any]) -> dict[str, Any]:
    tagged = dict(body.get("TaggedAddresses") or {})
    if body.get("Address"):
        own = {"Address": body["Address"], "Port": body.get("Port", 0)}
        if re.fullmatch(r"[0-9.]+", body["Address"]):
            tagged = {"lan_ipv4": own, "wan_ipv4": own} | tagged
        elif ":" in body["Address"]:
            tagged = {"lan_ipv6": own, "wan_ipv6": own} | tagged
    return {"TaggedAddresses": tagged} if tagged else {}


def _is_check(check: dict[str, Any]) -> bool:
    return bool(check.get("TTL") or check.get("Interval") or any(check.get(kind) for kind in _ACTIVE))


def _service_check(check: dict[str, Any], service_id: str, name: str, at: int, count: int) -> dict[str, Any]:
    _verify_check(check)
    if check.get("Status", "") not in _STATES:
        raise bad_request("Status for checks must 'passing', 'warning', 'critical'")
    default = f"service:{service_id}" if count == 1 else f"service:{service_id}:{at}"
    named = {"CheckID": check.get("CheckID") or default, "Name": check.get("Name") or f"Service '{name}' check"}
    return {**check, **named, "ServiceID": service_id, "Type": _kind(check)}


def check_definition(body: dict[str, Any]) -> dict[str, Any]:
    """A definition for PUT /v1/agent/check/register, with its id. Raises ConsulError (400, 500 or 501)."""
    if not body.get("Name"):
        raise bad_request("Missing check name")
    if body.get("Status", "") not in _STATES:
        raise bad_request("Bad check status")
    _verify_check(body)
    return {**body, "CheckID": body.get("CheckID") or body["Name"], "Type": _kind(body)}


def _kind(check: dict[str, Any]) -> str:
    return next((kind.lower() for kind in _EMULATED if check.get(kind)), "ttl")


def _verify_check(check: dict[str, Any]) -> None:
    active = [kind for kind in _ACTIVE if check.get(kind)]
    if check.get("AliasService") or check.get("AliasNode"):
        raise not_emulated("alias check")
    if active and check.get("Interval", 0) <= 0:
        raise bad_request("Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks")
    if check.get("Interval") and check.get("TTL"):
        raise bad_request("Invalid check: Interval and TTL cannot both be specified")
    if not active and check.get("TTL", 0) <= 0:
        raise bad_request("Invalid check: TTL must be > 0 for TTL checks")
    if check.get("Args"):
        off = (
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
        )
        raise ConsulError(off)
    if active and active[0] not in _EMULATED:
        raise not_emulated(f"{active[0]} check")


def _verify_meta(meta: dict[str, str]) -> None:
    if len(meta) > 64:
        raise bad_request("Invalid Service Meta: Node metadata cannot contain more than 64 key/value pairs")
    for key, value in meta.items():
        cause = _meta_fault(key, value)
        if cause:
            raise bad_request(f"Invalid Service Meta: Couldn't load metadata pair ('{key}', '{value}'): {cause}")


def _meta_fault(key: str, value: str) -> str:
    if not key:
        return "Key cannot be blank"
    if not _META_KEY.fullmatch(key):
        return "Key contains invalid characters"
    if len(key) > 128:
        return "Key is too long (limit: 128 characters)"
    return "Value is too long (limit: 512 characters)" if len(value) > 512 else ""
