"""Rows as the catalog, health and agent endpoints show them, which is where the versions differ.

Sources: sample responses of the API pages of 1.22; captured answers of 1.8.7.
"""

from __future__ import annotations

import zlib
from typing import Any

from harness.emulators.go_durations import format_duration

from .agent import LocalCheck
from .rows import Check, Node, Service, to_wire
from .server import Server


def _proxy(modern: bool) -> dict[str, Any]:
    return ({"Mode": ""} if modern else {}) | {"MeshGateway": {}, "Expose": {}}


def node_shape(server: Server, node: Node) -> dict[str, Any]:
    """A node as /v1/catalog/nodes shows it."""
    return {**to_wire(node), "Datacenter": server.settings.datacenter}


def service_shape(server: Server, service: Service) -> dict[str, Any]:
    """A service as /v1/health/service and /v1/catalog/node show it."""
    row = to_wire(service)
    tail = {name: row.pop(name) for name in ("CreateIndex", "ModifyIndex")}
    row["Meta"] = row["Meta"] or None
    modern = server.settings.profile.modern
    extra = {"PeerName": ""} if modern else {}
    return {**row, "Proxy": _proxy(modern), "Connect": {}, **extra, **tail}


def flat_shape(server: Server, node: Node, service: Service) -> dict[str, Any]:
    """A service and its node in one object, as /v1/catalog/service shows it."""
    shown = node_shape(server, node)
    modern = server.settings.profile.modern
    flat = {name: shown[name] for name in ("ID", "Node", "Address", "Datacenter", "TaggedAddresses")}
    tagged = {"ServiceTaggedAddresses": service.tagged_addresses} if service.tagged_addresses else {}
    return {
        **flat,
        "NodeMeta": node.meta,
        "ServiceKind": service.kind or "",
        "ServiceID": service.id,
        "ServiceName": service.service,
        "ServiceTags": service.tags,
        "ServiceAddress": service.address,
        **tagged,
        "ServiceWeights": service.weights,
        "ServiceMeta": service.meta,
        "ServicePort": service.port,
        **({"ServiceSocketPath": ""} if modern else {}),
        "ServiceEnableTagOverride": service.enable_tag_override,
        "ServiceProxy": _proxy(modern),
        "ServiceConnect": {},
        **({"ServiceLocality": None} if modern else {}),
        "CreateIndex": service.create_index,
        "ModifyIndex": service.modify_index,
    }


def check_shape(server: Server, check: Check) -> dict[str, Any]:
    """A check of the catalog."""
    row = to_wire(check)
    return _timed(row, "", "") if server.settings.profile.modern else row


def _timed(row: dict[str, Any], interval: str, timeout: str) -> dict[str, Any]:
    tail = {name: row.pop(name) for name in ("Definition", "CreateIndex", "ModifyIndex")}
    return {**row, "Interval": interval, "Timeout": timeout, "ExposedPort": 0, **tail}


def agent_check_shape(server: Server, check: LocalCheck) -> dict[str, Any]:
    """A check of the agent: newer versions add its timing."""
    row = to_wire(check.row)
    if not server.settings.profile.modern:
        return row
    times = [check.definition.get(name, 0) for name in ("Interval", "Timeout")]
    return _timed(row, *(format_duration(time) if time else "" for time in times))


def agent_health_check_shape(server: Server, check: LocalCheck) -> dict[str, Any]:
    """A check as /v1/agent/health shows it: 1.8 forgets its type and shows an empty definition."""
    row = agent_check_shape(server, check)
    if server.settings.profile.modern:
        return row
    unset: dict[str, Any] = dict.fromkeys(("Interval", "Timeout", "DeregisterCriticalServiceAfter"), "0s")
    unset |= {"HTTP": "", "Header": None, "Method": "", "Body": "", "TLSSkipVerify": False, "TCP": ""}
    return row | {"ServiceTags": row["ServiceTags"] or None, "Type": "", "Definition": unset}


def agent_service_shape(server: Server, service: Service) -> dict[str, Any]:
    """A service of the agent: fields in another order than in the catalog, no indexes."""
    row = to_wire(service)
    names = (
        "Kind",
        "ID",
        "Service",
        "Tags",
        "Meta",
        "Port",
        "Address",
        "TaggedAddresses",
        "Weights",
        "EnableTagOverride",
    )
    shown = {name: row[name] for name in names if name in row}
    return shown | ({"Datacenter": server.settings.datacenter} if server.settings.profile.modern else {})


def content_hash(shown: dict[str, Any]) -> str:
    """Sixteen hex digits that change with the content (the value itself is not the real server's)."""
    text = repr(shown).encode()
    return f"{zlib.crc32(text):08x}{zlib.adler32(text):08x}"
