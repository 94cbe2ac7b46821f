"""A key in Consul is configuration that every instance follows while it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from harness.experiments.checkers.monotonic_index import MonotonicIndex
from harness.experiments.history import Operation, Result
from harness.model import Verdict
from harness.probes.poll import Deadline, NotYet, poll

if TYPE_CHECKING:
    from tests.infrastructure.integration.conftest import Deployment, Instance

REACHES_WITHIN = 3.0
"""Seconds from the write to the last instance; a blocking query wakes at once, asking every 5 s would not fit."""


def everywhere(instances: list[Instance], value: str) -> list[int]:
    """Wait until every instance has this value; the indexes at which they have it."""

    def ask() -> list[int]:
        seen = [instance.get("/config").json() for instance in instances]
        if {one["value"] for one in seen} != {value}:
            raise NotYet(f"{seen}")
        return [one["index"] for one in seen]

    return poll(ask, Deadline.after(REACHES_WITHIN), f"{value!r} everywhere")


def test_a_change_reaches_every_instance_by_a_blocking_query(shop: Deployment, consul: Any, key: str) -> None:
    """One write wakes all; between writes an instance asks once per wait, not in a loop.

    Source: Consul HTTP API, "Blocking queries".
    """

    def asked(instance: Instance) -> float:
        return sum(one.value for one in instance.metrics("config_reads"))

    # A watch on a key that does not exist yet is woken by every write to the store; other tests write too.
    assert consul.kv.put(shop.config_key, f"{key}-first")
    everywhere(shop.instances, f"{key}-first")
    before, began = [asked(instance) for instance in shop.instances], time.monotonic()
    for number in range(3):
        assert consul.kv.put(shop.config_key, f"{key}-{number}")
        indexes = everywhere(shop.instances, f"{key}-{number}")
        assert set(indexes) == {consul.kv.get(shop.config_key)[1]["ModifyIndex"]}
    most = 3 + 1 + (time.monotonic() - began) / 5
    assert not [line for instance in shop.instances for line in instance.log("config failed")], "a watch was broken off"
    made = [asked(instance) - earlier for instance, earlier in zip(shop.instances, before, strict=True)]
    assert all(3 <= one <= most + 1 for one in made), f"{made} queries for 3 changes, expected 3 to {most + 1:.0f}"


def test_changes_in_a_row_are_followed_in_order_to_the_last(shop: Deployment, consul: Any, key: str) -> None:
    """An instance may skip a value that was replaced at once, never go back to it, and ends at the last.

    Source: Consul HTTP API, "Blocking queries": a query sees the newest value, not each one in between.
    """
    for number in range(20):
        assert consul.kv.put(shop.config_key, f"{key}-{number:02}")
    everywhere(shop.instances, f"{key}-19")
    for instance in shop.instances:
        seen = [line for line in instance.log("config changed") if line["value"].startswith(key)]
        assert [line["value"] for line in seen] == sorted(line["value"] for line in seen)
        reads = [Operation("index", instance.name, "config", one["index"], Result.OK, one["time"], one["time"])
                 for one in seen]  # fmt: skip
        finding = MonotonicIndex().check(reads)
        assert finding.verdict is Verdict.VALID, finding
