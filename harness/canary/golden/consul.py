"""Consul: keys with flags, a service of the catalog, and how they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from harness.canary.golden.base import Golden
from harness.ports import Handle

KEYS = 100


class Consul(Golden):
    """What raft's log and snapshots carry from one version to the next."""

    kind: ClassVar[str] = "consul"

    def plant(self, client: Any, handle: Handle) -> list[str]:
        """A write is acknowledged once raft has committed it."""
        del handle
        written = [name for name in _names() if client.kv.put(name, f"value of {name}", flags=len(name))]
        client.catalog.register(
            "golden-node",
            "198.51.100.7",
            service={"Service": "golden", "ID": "golden-1", "Tags": ["v1"], "Port": 8000},
        )
        return written

    def kept(self, client: Any) -> list[str]:
        """Read one by one, consistently."""
        return [name for name in _names() if _value(client, name) == f"value of {name}".encode()]

    def ask(self, client: Any) -> Mapping[str, Any]:
        """Listings and one entry, without the indexes that every start moves."""
        _, folders = client.kv.get("golden/", keys=True, separator="/")
        _, entry = client.kv.get("golden/a/000")
        _, nodes = client.catalog.service("golden")
        _, absent = client.kv.get("golden/none")
        return {
            "keys of golden/ up to the next /": folders,
            "flags of golden/a/000": entry and entry["Flags"],
            "instances of golden": [(one["ServiceID"], one["ServiceTags"], one["ServicePort"]) for one in nodes],
            "golden/none": absent,
        }


def _names() -> list[str]:
    return [f"golden/{'ab'[number % 2]}/{number:03}" for number in range(KEYS)]


def _value(client: Any, name: str) -> Any:
    _, entry = client.kv.get(name, consistency="consistent")
    return entry and entry["Value"]
