"""A container on another machine: its ports answer here while it is on its network, and are refused otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import PortError
from harness.runtimes.docker.forwarded import ForwardedContainer
from tests.unit.rigs.docker_rig import FakeEngine
from tests.unit.runtimes.docker.test_container import PLAN, asked


class FakeTunnel:
    """Notes which ports are forwarded now."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.refuse = False

    def forward(self, ports: list[int]) -> None:
        if self.refuse:
            raise PortError("taken")
        assert not set(ports) & set(self.ports), "forwarded twice"
        self.ports += ports

    def forward_no_more(self, ports: list[int]) -> None:
        self.ports = [port for port in self.ports if port not in ports]


@pytest.fixture
def tunnel() -> FakeTunnel:
    """Nothing forwarded."""
    return FakeTunnel()


@pytest.fixture
def container(engine: FakeEngine, tunnel: Any, tmp_path: Path) -> Iterator[ForwardedContainer]:
    """Not launched."""
    engine.image("consul:1.0")
    engine.thing("networks", "ih-r1", {})
    made = ForwardedContainer(PLAN, asked(PLAN), tmp_path / "log", tunnel)
    yield made
    made.close()


def test_published_streams_are_forwarded_while_it_runs(container: ForwardedContainer, tunnel: FakeTunnel) -> None:
    assert tunnel.ports == []
    container.launch()
    assert tunnel.ports == [20001, 20002]
    container.kill()
    assert tunnel.ports == []
    container.launch()
    container.launch()
    assert tunnel.ports == [20001, 20002]
    container.stop(1)
    assert tunnel.ports == []
    container.stop(1)


def test_off_its_network_it_is_not_reached(container: ForwardedContainer, tunnel: FakeTunnel) -> None:
    container.launch()
    container.isolate()
    assert tunnel.ports == []
    container.rejoin()
    container.rejoin()
    assert tunnel.ports == [20001, 20002]


def test_one_that_has_ended_is_rejoined_without_its_ports(container: ForwardedContainer, tunnel: FakeTunnel) -> None:
    container.launch()
    container.isolate()
    container.kill()
    container.rejoin()
    assert tunnel.ports == []


def test_a_pause_leaves_its_ports(container: ForwardedContainer, tunnel: FakeTunnel) -> None:
    container.launch()
    container.pause()
    assert tunnel.ports == [20001, 20002]
    container.resume()


def test_a_port_that_is_taken_here_is_told(container: ForwardedContainer, tunnel: FakeTunnel) -> None:
    tunnel.refuse = True
    with pytest.raises(PortError):
        container.launch()


def test_no_process_here_is_taken_for_its_own(container: ForwardedContainer) -> None:
    container.launch()
    assert container.main_process == 0
