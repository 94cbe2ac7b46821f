"""Clients of Sentinels where these name addresses that only the stack's own network knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from harness.experiments.actors.redis_sentinel import SentinelCluster
from harness.model import Endpoint
from tests.unit.rigs.core_rig import StubHandle


@dataclass
class Member(StubHandle):
    """A handle that the stack's own services know by another address."""

    fixed: str = ""

    def inside(self, name: str = "") -> Endpoint:
        return Endpoint("redis", self.fixed, 6379)


def member(name: str, port: int, fixed: str) -> Member:
    return Member({"redis": Endpoint("redis", "127.0.0.1", port)}, name=name, fixed=fixed)


@pytest.fixture
def cluster() -> SentinelCluster:
    members: dict[str, Any] = {
        "redis-primary": member("redis-primary", 20001, "10.9.0.2"),
        "redis-replica-1": member("redis-replica-1", 20002, "10.9.0.3"),
        "sentinel-1": member("sentinel-1", 20003, "10.9.0.4"),
    }
    return SentinelCluster(members)


@pytest.mark.parametrize(
    ("named", "reached"),
    [
        (("10.9.0.3", 6379), ("127.0.0.1", 20002)),
        (("10.9.0.1", 30001), ("10.9.0.1", 30001)),  # a link's, which this machine reaches as it is
    ],
)
def test_a_client_reaches_the_server_that_the_sentinels_name(
    cluster: SentinelCluster, named: tuple[str, int], reached: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redis.sentinel.Sentinel.discover_master", lambda self, group: named)
    with cluster.client() as client:
        pool: Any = client.connection_pool
        assert pool.get_master_address() == reached


def test_the_primary_is_told_by_the_address_that_sentinels_know(
    cluster: SentinelCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "address_by", lambda sentinel: ("10.9.0.3", 6379))
    assert cluster.primary() == "redis-replica-1"
    assert cluster.moved_from("redis-primary") == "redis-replica-1"
