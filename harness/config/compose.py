"""Reading compose files into service plans: what a file says, who needs whom; errors that name the place.

A strict reader of a documented subset, for machines without `docker compose`. The result is not bound to kinds
yet; `harness.plan` does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.config.compose_documents import gather
from harness.config.compose_service import Needs, ServiceReader
from harness.errors import ComposeError
from harness.model import ServicePlan

PROFILES = "COMPOSE_PROFILES"
COMPLETED = "service_completed_successfully"


@dataclass(frozen=True)
class ComposeFile:
    """What one or more compose files say: the project's name and its services (`kind` as `x-harness` gives it)."""

    name: str
    services: Mapping[str, ServicePlan]
    files: tuple[Path, ...]


def read(files: Sequence[Path], variables: Mapping[str, str]) -> ComposeFile:
    """Read compose files, later ones laid over earlier ones. `variables` feed the interpolation.

    Relative host paths are resolved against the first file's directory, as Compose does. Services of a profile are
    left out unless COMPOSE_PROFILES (of `variables`) names it.
    Raises ComposeError for anything that is malformed or not supported.
    """
    if not files:
        raise ComposeError("no compose file given", "name one with --compose")
    found = gather(files, variables)
    base = files[0].resolve().parent
    reader = ServiceReader(found.documents, found.data, base, variables)
    entries = reader.entries()
    chosen, left_out = _by_profile(reader, entries, variables)
    if not chosen:
        raise ComposeError(f"{files[0]}: every service belongs to a profile", f"name one: {PROFILES}={left_out[0][1]}")
    services = {name: reader.service(name, entry) for name, entry in chosen.items()}
    needs = {name: reader.needs(name, entry) for name, entry in chosen.items()}
    connected = _connected(reader, services, needs, dict(left_out))
    return ComposeFile(str(found.data.get("name") or base.name), connected, tuple(files))


def _by_profile(
    reader: ServiceReader, entries: Mapping[str, Any], variables: Mapping[str, str]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The services that run; and those that do not, each with a profile of its own."""
    active = {word.strip() for word in variables.get(PROFILES, "").split(",")}
    chosen, left_out = {}, []
    for name, entry in entries.items():
        profiles = reader.parse(name, entry).profiles
        if not profiles or active.intersection([*profiles, "*"]):
            chosen[name] = entry
        else:
            left_out.append((name, profiles[0]))
    return chosen, left_out


def _connected(
    reader: ServiceReader, services: dict[str, ServicePlan], needs: Mapping[str, Needs], left_out: Mapping[str, str]
) -> dict[str, ServicePlan]:
    """The services with what they depend on, the names they are reached by, and which of them run to their end."""
    for name, need in needs.items():
        for other in [*need.conditions, *need.aliases]:
            if other not in services and other not in need.optional:
                raise _unknown(reader, name, other, services, left_out)
        kept = {other: condition for other, condition in need.conditions.items() if other in services}
        services[name] = replace(services[name], depends_on=kept)
    for need in needs.values():
        for other, alias in need.aliases.items():
            services[other] = _reached_by(services[other], alias)
    finishing = {other for need in needs.values() for other, wanted in need.conditions.items() if wanted == COMPLETED}
    return {name: replace(service, one_shot=name in finishing) for name, service in services.items()}


def _reached_by(service: ServicePlan, alias: str) -> ServicePlan:
    names = dict.fromkeys([*service.options.aliases, alias])
    return replace(service, options=replace(service.options, aliases=tuple(names)))


def _unknown(
    reader: ServiceReader, name: str, other: str, services: Mapping[str, ServicePlan], left_out: Mapping[str, str]
) -> ComposeError:
    if other in left_out:
        message = f"depends_on {other!r}: left out with its profile; {PROFILES}={left_out[other]} brings it in"
    else:
        message = f"depends_on {other!r}: no such service; known: {', '.join(sorted(services))}"
    return ComposeError(f"{reader.where(name, 'depends_on')}: service {name}: {message}")
