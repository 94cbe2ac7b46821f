"""Whether services over ssh could call back is told before there is a stack, by the engine's own bridge."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import RuntimeUnavailable
from harness.runtimes.docker.way_back import try_way_back
from harness.runtimes.ssh.reach import reach
from harness.runtimes.ssh.tunnel import Tunnel
from tests.unit.rigs.docker_rig import FakeEngine
from tests.unit.rigs.ssh_rig import FarMachine, far_machine

BRIDGE = {"Config": [{"Gateway": "172.17.0.1", "Subnet": "172.17.0.0/16"}]}


@pytest.fixture
def far(engine: FakeEngine, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FarMachine]:
    """A machine with the fake engine on it; what connections this process made are closed after the test."""
    made: list[Tunnel] = []
    monkeypatch.setattr(atexit, "register", lambda close: made.append(close.__self__))
    monkeypatch.setattr("harness.runtimes.ssh.checks.COMES_WITHIN", 0.2)
    engine.thing("networks", "bridge", {}, IPAM=BRIDGE)
    with far_machine(state, monkeypatch) as machine:
        yield machine
    for tunnel in made:
        tunnel.close()


def test_an_engine_of_this_machine_is_not_asked(engine: FakeEngine) -> None:
    assert try_way_back() == ""
    assert engine.calls == []


def test_a_way_back_is_told_with_the_address_there(far: FarMachine) -> None:
    reach(str(far.address))
    for address in ("", str(far.address)):
        assert try_way_back(address) == f"{far.address}: services reach receivers of this machine at 172.17.0.1"


def test_the_bridges_own_address_is_its_first_where_the_engine_does_not_tell(
    engine: FakeEngine, far: FarMachine
) -> None:
    engine.networks.clear()
    engine.thing("networks", "bridge", {}, IPAM={"Config": [{"Subnet": "172.18.0.0/16"}]})
    reach(str(far.address))
    assert try_way_back().endswith("at 172.18.0.1")


def test_no_way_back_is_refused(far: FarMachine) -> None:
    far.behave(gateway_ports="no")
    reach(str(far.address))
    with pytest.raises(RuntimeUnavailable, match="from its loopback only, where no container gets: expected 172"):
        try_way_back()


def test_an_engine_without_the_bridge_is_left_to_the_stacks_own_network(engine: FakeEngine, far: FarMachine) -> None:
    reach(str(far.address))
    engine.networks.clear()
    engine.thing("networks", "bridge", {}, IPAM={"Config": []})
    assert "not tried, for its network bridge is not to be had" in try_way_back()


def test_doctor_tells_it(far: FarMachine, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["doctor", "--runtime", "docker"]) == 0
    assert "services reach receivers of this machine at 172.17.0.1" in capsys.readouterr().out


def test_doctor_tells_why_not(far: FarMachine, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                              monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    far.behave(code=255, say="me@far.test: Permission denied (publickey).\n")
    assert main(["doctor", "--runtime", "docker"]) == 7
    assert "the login as me is refused" in capsys.readouterr().out
