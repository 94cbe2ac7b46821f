"""Engines by the addresses that users name: connected to once, and known to whoever comes after in this process."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import RuntimeUnavailable
from harness.identity import Identity
from harness.runtimes.ssh import reach as subject
from harness.runtimes.ssh.place import Note, Place
from harness.runtimes.ssh.reach import as_reached, own_tunnel, reach, reached, spoken
from harness.runtimes.ssh.tunnel import Tunnel
from tests.unit.rigs.ssh_rig import FarMachine

LOCAL = "unix:///var/run/docker.sock"


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Tunnel]]:
    """The connections that would be closed at the end of the process; closed after the test."""
    made: list[Tunnel] = []
    monkeypatch.setattr(atexit, "register", lambda close: made.append(close.__self__))
    yield made
    for tunnel in made:
        tunnel.close()


def test_an_engine_of_this_machine_is_its_own_address(opened: list[Tunnel]) -> None:
    assert [reach(LOCAL), reached(LOCAL), as_reached(LOCAL), spoken(LOCAL)] == [LOCAL] * 4
    assert own_tunnel(LOCAL, lambda start: start()) is None
    assert opened == []


def test_a_port_of_another_machine_is_refused() -> None:
    for ask in (reach, reached):
        with pytest.raises(RuntimeUnavailable, match="is on another machine") as refused:
            ask("tcp://203.0.113.5:2375")
        assert "ssh://USER@203.0.113.5" in refused.value.next_step


def test_one_connection_is_opened_and_known_to_all_who_come_after(far: FarMachine, opened: list[Tunnel]) -> None:
    address = str(far.address)
    here = reach(address, far.home / "config")
    assert [reach(address), reached(address), as_reached(address)] == [here] * 3
    assert os.environ["DOCKER_HOST"] == here
    assert spoken(here) == address
    assert [words[:2] for words in far.calls("-M")] == [["-F", str(far.home / "config")]]
    assert [tunnel.docker_host for tunnel in opened] == [here]


def test_another_docker_host_is_left_alone(far: FarMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", LOCAL)
    assert reach(str(far.address)) != LOCAL
    assert os.environ["DOCKER_HOST"] == LOCAL


def test_nobody_connects_where_only_a_known_connection_will_do(far: FarMachine) -> None:
    address = str(far.address)
    assert [as_reached(address), as_reached("ssh://me:pw@h")] == [address, "ssh://me:pw@h"]
    with pytest.raises(RuntimeUnavailable, match="there is no ssh connection to it"):
        reached(address)
    assert far.calls() == []


def test_the_connection_of_a_dead_owner_is_none(far: FarMachine, opened: list[Tunnel]) -> None:
    address = str(far.address)
    first = reach(address)
    Note(address, "", Identity("x", "y", 1, 1)).write(opened[0].place)
    assert as_reached(address) == address
    assert reach(address) != first


def test_a_forwarded_socket_is_connected_to_anew_with_the_same_configuration(
    far: FarMachine, opened: list[Tunnel]
) -> None:
    config = far.home / "config"
    here = reach(str(far.address), config)
    own = own_tunnel(here, lambda start: start())
    assert own is not None
    try:
        assert own.docker_host != here
        assert (str(own.address), [words[1] for words in far.calls("-M")]) == (str(far.address), [str(config)] * 2)
    finally:
        own.close()


def test_what_takes_long_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    subject._say("logging in")
    assert capsys.readouterr().err == "logging in\n"


def test_a_password_is_not_spoken() -> None:
    assert spoken("ssh://me:hunter2@h") == "ssh://me:***@h"
    with pytest.raises(RuntimeUnavailable, match=r"ssh://me:\*\*\*@h: a password"):
        reach("ssh://me:hunter2@h")


def test_directories_are_left_to_children_by_name(far: FarMachine, opened: list[Tunnel]) -> None:
    reach(str(far.address))
    assert [Place(Path(name)) for name in os.environ["HARNESS_TUNNELS"].split(":")] == [opened[0].place]
