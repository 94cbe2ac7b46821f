"""Everything the harness knows about kinds of services. A new one is a file here and a line in `SERVICES`."""

from __future__ import annotations

from harness.errors import PlanError
from harness.services.arangodb import ArangoDB
from harness.services.base import Kind
from harness.services.consul import Consul
from harness.services.grafana import Grafana
from harness.services.otel_collector import OtelCollector
from harness.services.redis import Redis
from harness.services.tempo import Tempo

SERVICES: tuple[Kind, ...] = (Consul(), Redis(), ArangoDB(), Tempo(), OtelCollector(), Grafana())


def kind_named(name: str) -> Kind:
    """The kind of that name. Raises PlanError naming those that exist."""
    for kind in SERVICES:
        if kind.name == name:
            return kind
    raise PlanError(f"unknown kind {name!r}: expected one of {', '.join(kind.name for kind in SERVICES)}")


def kind_of_image(image: str) -> Kind | None:
    """The kind that a compose file's image belongs to, or None. A registry's host before the name is no matter."""
    name = image.partition("@")[0]
    repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    first, slash, rest = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        repository = rest
    repository = repository.removeprefix("library/")
    return next((kind for kind in SERVICES if repository in kind.images), None)
