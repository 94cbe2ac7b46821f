"""Rows as the catalog, health and agent endpoints show them, which is where the versions differ.

Sources: sample responses of the API pages of 1.22; captured answers of 1.8.7.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.emulators.go_durations import format_duration

from .rows import Check, Node, Service, to_wire
from .server import Server

_FLAT = ("ID", "Node", "Address", "Datacenter", "TaggedAddresses")
_AGENT_SERVICE = "Kind ID Service Tags Meta Port Address TaggedAddresses Weights EnableTagOverride"


def _proxy(modern: bool) -> dict[str, Any]:
    return ({"Mode": ""} if modern else {}) | {"MeshGateway": {}, "Expose": {}}


def node_shape(server: Server, node: Node) -> dict[str, Any]:
    """A node as /v1/catalog/nodes shows it."""
    return {**to_wire(node), "Datacenter": server.settings.datacenter}


def service_shape(server: Server, service: Service) -> dict[str, Any]:
    """A service as /v1/health/service and /v1/catalog/node show it."""
    row, modern = to_wire(service), server.settings.profile.modern
    tail = {name: row.pop(name) for name in ("CreateIndex", "ModifyIndex")}
    extra = {"PeerName": ""} if modern else {}
    return {**row, "Meta": row["Meta"] or None, "Proxy": _proxy(modern), "Connect": {}, **extra, **tail}


def flat_shape(server: Server, node: Node, service: Service) -> dict[str, Any]:
    """A service and its node in one object, as /v1/catalog/service shows it."""
    shown, modern = node_shape(server, node), server.settings.profile.modern
    tagged = {"ServiceTaggedAddresses": service.tagged_addresses} if service.tagged_addresses else {}
    return {
        **{name: shown[name] for name in _FLAT},
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


def check_shape(server: Server, check: Check, interval: str = "", timeout: str = "") -> dict[str, Any]:
    """A check of the catalog; newer versions add the timing that the agent knows."""
    row = to_wire(check)
    if not server.settings.profile.modern:
        return row
    tail = {name: row.pop(name) for name in ("Definition", "CreateIndex", "ModifyIndex")}
    return {**row, "Interval": interval, "Timeout": timeout, "ExposedPort": 0, **tail}


def agent_check_shape(server: Server, check: Check) -> dict[str, Any]:
    """A check of the agent, which has no indexes."""
    definition = server.agent.definitions.get(check.check_id, {})
    times = [definition.get(name, 0) for name in ("Interval", "Timeout")]
    shown = [format_duration(time) if time else "" for time in times]
    return check_shape(server, replace(check, create_index=0, modify_index=0), *shown)


def agent_service_shape(server: Server, service: Service) -> dict[str, Any]:
    """A service of the agent: fields in another order than in the catalog, no indexes."""
    row = to_wire(service)
    shown = {name: row[name] for name in _AGENT_SERVICE.split() if name in row}
    return shown | ({"Datacenter": server.settings.datacenter} if server.settings.profile.modern else {})
