"""Addresses over TLS: what `x-harness: {tls: [...]}` names speaks it, and is verified against the run's authority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import PlanError
from harness.model import Endpoint, ServicePlan, StackPlan
from harness.services.base import AUTHORITY, ENCRYPTED

Addresses = Mapping[str, Mapping[str, Endpoint]]


def over_tls(plan: StackPlan, addresses: Addresses, directory: Path) -> dict[str, dict[str, Endpoint]]:
    """The addresses with the schemes that clients have to speak; authorities are written to `directory` for them.

    Raises PlanError for a port that cannot speak TLS, or a service that has no authority at AUTHORITY.
    """
    return {name: _encrypted(plan.services[name], dict(ports), directory) for name, ports in addresses.items()}


def _encrypted(service: ServicePlan, ports: dict[str, Endpoint], directory: Path) -> dict[str, Endpoint]:
    if not service.tls:
        return ports
    authority = _authority(service, directory)
    for name in service.tls:
        if name not in ports or ports[name].scheme not in ENCRYPTED:
            able = [port for port, endpoint in ports.items() if endpoint.scheme in ENCRYPTED]
            raise PlanError(
                f"{service.origin}: x-harness: tls: {name!r}: expected one of {', '.join(able) or '(none)'}"
            )
        ports[name] = replace(ports[name], scheme=ENCRYPTED[ports[name].scheme], authority=str(authority))
    return ports


def _authority(service: ServicePlan, directory: Path) -> Path:
    mount = next((mount for mount in service.mounts if mount.target == AUTHORITY), None)
    if mount is None:
        raise PlanError(f"{service.origin}: x-harness: tls: no config or file is mounted at {AUTHORITY}")
    if mount.kind == "bind":
        return Path(mount.source)
    file = directory / f"{service.name}-ca.pem"
    file.write_text(mount.source, encoding="utf-8")
    return file
