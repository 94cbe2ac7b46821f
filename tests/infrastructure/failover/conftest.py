"""Clusters that failover stories are told on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.experiments.actors.consul_cluster import ConsulCluster
from harness.experiments.actors.redis_sentinel import SentinelCluster
from harness.keeper.client import RemoteStack
from harness.model import LinkPlan
from harness.pytest_plugin.private import PrivateStacks

SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")


@pytest.fixture
def sentinels(private_stack: PrivateStacks) -> Callable[..., tuple[RemoteStack, SentinelCluster]]:
    """`sentinels(links=..., variables=...)`: a primary, two replicas and three Sentinels of this test alone, steady."""

    def start(**more: Any) -> tuple[RemoteStack, SentinelCluster]:
        stack = private_stack(*SENTINELS, **more)
        return stack, SentinelCluster(stack)

    return start


@pytest.fixture
def lone_redis(private_stack: PrivateStacks) -> Callable[..., RemoteStack]:
    """`lone_redis(**variables)`: one Redis of this test alone, with its data in an append-only file, and a link
    `client` in front of it."""

    def start(**variables: str) -> RemoteStack:
        return private_stack("redis-primary", links=[LinkPlan("client", "redis-primary")], variables=variables)

    return start


@pytest.fixture
def consuls(private_stack: PrivateStacks) -> Callable[..., tuple[RemoteStack, ConsulCluster]]:
    """`consuls()`: three servers and a client agent of this test alone, real ones, steady."""
    if private_stack.emulates("consul"):
        pytest.skip("not verified: the Consul emulator has no cluster; give a real one with --binaries consul=PATH")

    def start(**more: Any) -> tuple[RemoteStack, ConsulCluster]:
        stack = private_stack("consul-client", **more)
        return stack, ConsulCluster(stack)

    return start
