"""The rows of Consul's tables, in the order of their fields on the wire, and the way there and back.

Field sources: the KV, session, catalog, health and ACL pages of the HTTP API, and captured answers of 1.8.7.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

Row = TypeVar("Row")
OMITTED: Mapping[str, bool] = MappingProxyType({"omitempty": True})
"""Marks a field that is left out of the wire form when it is empty."""

_UPPER = {"id": "ID", "ttl": "TTL"}


def new_id() -> str:
    """Random hex in 8-4-4-4-12 form. Consul does not set RFC 4122's version bits."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(slots=True)
class Entry:
    """A key of the KV store; `value` is base64 as it travels, None when empty."""

    lock_index: int = 0
    key: str = ""
    flags: int = 0
    value: str | None = None
    session: str | None = field(default=None, metadata=OMITTED)
    create_index: int = 0
    modify_index: int = 0


@dataclass(slots=True)
class Session:
    """A session. `lock_delay` in nanoseconds, `ttl` as the client wrote it."""

    id: str = ""
    name: str = ""
    node: str = ""
    lock_delay: int = 0
    behavior: str = "release"
    ttl: str = ""
    node_checks: list[str] | None = None
    service_checks: list[dict[str, str]] | None = None
    create_index: int = 0
    modify_index: int = 0


@dataclass(slots=True)
class Node:
    """A node of the catalog."""

    id: str = ""
    node: str = ""
    address: str = ""
    datacenter: str = "dc1"
    tagged_addresses: dict[str, str] | None = None
    meta: dict[str, str] | None = None
    create_index: int = 0
    modify_index: int = 0


@dataclass(slots=True)
class Service:
    """One instance of a service on a node."""

    kind: str | None = field(default=None, metadata=OMITTED)
    id: str = ""
    service: str = ""
    tags: list[str] = field(default_factory=list)
    address: str = ""
    tagged_addresses: dict[str, Any] | None = field(default=None, metadata=OMITTED)
    meta: dict[str, str] = field(default_factory=dict)
    port: int = 0
    weights: dict[str, int] = field(default_factory=lambda: {"Passing": 1, "Warning": 1})
    enable_tag_override: bool = False
    create_index: int = 0
    modify_index: int = 0


@dataclass(slots=True)
class Check:
    """The last known result of a check, on a node or on one of its services."""

    node: str = ""
    check_id: str = ""
    name: str = ""
    status: str = "critical"
    notes: str = ""
    output: str = ""
    service_id: str = ""
    service_name: str = ""
    service_tags: list[str] = field(default_factory=list)
    type: str = ""
    definition: dict[str, Any] = field(default_factory=dict)
    create_index: int = 0
    modify_index: int = 0


@dataclass(slots=True)
class Policy:
    """A named set of ACL rules."""

    id: str = ""
    name: str = ""
    description: str = ""
    rules: str = ""
    hash: str = ""
    create_index: int = 0
    modify_index: int = 0


@dataclass(slots=True)
class Token:
    """An ACL token with links to its policies."""

    accessor_id: str = ""
    secret_id: str = ""
    description: str = ""
    policies: list[dict[str, str]] | None = field(default=None, metadata=OMITTED)
    local: bool = False
    expiration_time: str | None = field(default=None, metadata=OMITTED)
    create_time: str = ""
    hash: str = ""
    create_index: int = 0
    modify_index: int = 0


@cache
def _columns(kind: Any) -> tuple[tuple[str, str, bool], ...]:
    def wire_name(name: str) -> str:
        return "".join(_UPPER.get(part, part.capitalize()) for part in name.split("_"))

    return tuple((f.name, wire_name(f.name), "omitempty" in f.metadata) for f in fields(kind))


def to_wire(row: Any) -> dict[str, Any]:
    """The row as JSON, fields in wire order, empty ones left out where Consul leaves them out."""
    shown = {}
    kind: Any = type(row)
    for name, wire, omit in _columns(kind):
        value = getattr(row, name)
        if value or not omit:
            shown[wire] = value
    return shown


def from_wire(kind: type[Row], value: Mapping[str, Any]) -> Row:
    """The row whose wire form is `value`; unknown fields are ignored, missing ones take their default."""
    hashable: Any = kind
    return kind(**{name: value[wire] for name, wire, _ in _columns(hashable) if value.get(wire) is not None})
