"""Metadata storage on ArangoDB: what runs where, in which version, and since when."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from arango.exceptions import ArangoServerError

from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace

pytestmark = pytest.mark.uses("arangodb")

CONFLICT = 1200
DUPLICATE = 1210


class Registry:
    """What a platform keeps of its services: the current state in `services`, each change in `history`, and
    instances that report themselves in `instances`."""

    def __init__(self, db: Any) -> None:
        self.db = db
        self.services = db.create_collection("services")
        self.history = db.create_collection("history")
        self.instances = db.create_collection("instances")
        self.services.add_index({"type": "persistent", "fields": ["labels[*]"], "name": "labels"})
        self.services.add_index({"type": "persistent", "fields": ["owner", "tier"], "name": "owner-tier"})
        self.history.add_index({"type": "persistent", "fields": ["service", "number"], "unique": True})
        self.instances.add_index({"type": "ttl", "fields": ["until"], "expireAfter": 0})

    def register(self, name: str, **facts: Any) -> None:
        """A service that nothing was deployed of."""
        self.services.insert({"_key": name, "version": None, "number": 0, **facts})

    def deploy(self, name: str, version: str) -> int:
        """Record a deployment, in state and history together; returns its number. Raises ArangoServerError."""
        trx = self.db.begin_transaction(write=["services", "history"])
        try:
            state = trx.collection("services").get(name)
            number = int(state["number"]) + 1
            trx.collection("services").update({"_key": name, "version": version, "number": number})
            trx.collection("history").insert({"service": name, "version": version, "number": number})
            trx.commit_transaction()
        except ArangoServerError:
            trx.abort_transaction()
            raise
        return number

    def versions(self, name: str) -> list[str]:
        """What was deployed of a service, oldest first."""
        query = "FOR h IN history FILTER h.service == @name SORT h.number RETURN h.version"
        return [str(version) for version in self.db.aql.execute(query, bind_vars={"name": name})]

    def find(self, condition: str, **bind: Any) -> tuple[list[str], list[str]]:
        """The services for which a condition is true, and the indexes that were used to find them."""
        query = f"FOR s IN services FILTER {condition} SORT s._key RETURN s._key"
        nodes = self.db.aql.explain(query, bind_vars=bind)["nodes"]
        used = [index["name"] for node in nodes for index in node.get("indexes", [])]
        return [str(key) for key in self.db.aql.execute(query, bind_vars=bind)], used


@pytest.fixture
def registry(namespace: Namespace) -> Registry:
    """A registry in this test's database."""
    return Registry(namespace.of("arangodb"))


def code_of(action: Callable[[], Any]) -> int:
    """The errorNum of what must not succeed."""
    with pytest.raises(ArangoServerError) as caught:
        action()
    return int(caught.value.error_code or 0)


def test_a_deployment_is_in_state_and_history_or_in_neither(registry: Registry) -> None:
    """Stream transactions over two collections: what fails in the second is undone in the first."""
    registry.register("cart")
    assert [registry.deploy("cart", version) for version in ("1.0", "1.1")] == [1, 2]
    registry.history.insert({"service": "cart", "version": "smuggled in", "number": 3})
    assert code_of(lambda: registry.deploy("cart", "1.2")) == DUPLICATE
    state = registry.services.get("cart")
    assert (state["version"], state["number"]) == ("1.1", 2), "the state is ahead of its history"
    registry.history.delete_match({"version": "smuggled in"})
    assert registry.deploy("cart", "1.2") == 3
    assert registry.versions("cart") == ["1.0", "1.1", "1.2"]


def test_concurrent_deployments_of_a_service_are_numbered_without_gap(registry: Registry) -> None:
    """Write-write conflicts (1200) order those who meet: every acknowledged deployment has a number of its own."""
    registry.register("cart")
    barrier, deadline = Barrier(4), Deadline.after(20)

    def pipeline(number: int) -> list[tuple[int, str]]:
        barrier.wait(5)
        done: list[tuple[int, str]] = []
        while len(done) < 3 and not deadline.over:
            version = f"{number}.{len(done)}"
            try:
                done.append((registry.deploy("cart", version), version))
            except ArangoServerError as error:
                if error.error_code not in (CONFLICT, DUPLICATE):
                    raise
        return done

    with ThreadPoolExecutor(4) as pool:
        acknowledged = sorted(entry for done in pool.map(pipeline, range(4)) for entry in done)
    assert [number for number, _ in acknowledged] == list(range(1, 13))
    assert registry.versions("cart") == [version for _, version in acknowledged]
    assert registry.services.get("cart")["version"] == acknowledged[-1][1]


def test_services_are_found_by_any_label_and_by_owner(registry: Registry) -> None:
    """Array and compound indexes answer the two questions a platform asks most; both are in the plan."""
    registry.register("cart", labels=["eu", "pci"], owner="shop", tier=1)
    registry.register("search", labels=["eu"], owner="shop", tier=2)
    registry.register("ledger", labels=["pci", "us"], owner="money", tier=1)
    registry.register("legacy")
    assert registry.find("@label IN s.labels", label="pci") == (["cart", "ledger"], ["labels"])
    assert registry.find("s.owner == @owner AND s.tier <= 1", owner="shop") == (["cart"], ["owner-tier"])
    registry.services.update({"_key": "cart", "labels": ["us"], "owner": "money"})
    assert registry.find("@label IN s.labels", label="pci")[0] == ["ledger"]
    assert registry.find("s.owner == @owner AND s.tier <= 1", owner="money")[0] == ["cart", "ledger"]
    assert registry.find("s.owner == null")[0] == ["legacy"]


def test_what_changed_since_a_moment_is_told_once_and_in_order(registry: Registry) -> None:
    """A reader that keeps the last number it saw gets each later change once, however it pages through them."""
    registry.register("cart")
    for number in range(7):
        registry.deploy("cart", f"v{number}")
    query = "FOR h IN history FILTER h.service == 'cart' AND h.number > @seen SORT h.number LIMIT 3 RETURN h"
    told: list[str] = []
    seen = 0
    while page := list(registry.db.aql.execute(query, bind_vars={"seen": seen})):
        told += [entry["version"] for entry in page]
        seen = page[-1]["number"]
        if len(told) == 3:
            registry.deploy("cart", "while reading")
    assert told == [*(f"v{number}" for number in range(7)), "while reading"]


def test_an_instance_that_does_not_renew_its_lease_is_forgotten(registry: Registry) -> None:
    """TTL index over the end of a lease: who renews it stays, who does not is gone when it is over, not before."""
    began = time.time()
    registry.instances.insert_many([{"_key": name, "until": began + 1} for name in ("alive", "dead")])

    def only_the_renewed_left() -> float:
        registry.instances.update({"_key": "alive", "until": time.time() + 5})
        left = sorted(instance["_key"] for instance in registry.instances.all())
        if left != ["alive"]:
            raise NotYet(f"there are {left}")
        return time.time() - began

    lived = poll(only_the_renewed_left, Deadline.after(30), "the silent instance to be forgotten", interval=0.1)
    assert lived >= 1, f"it was forgotten after {lived:.1f} s"
