"""An engine on another machine, as one of this: what is opened is there, and what is ended is gone."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from harness.errors import PortError, RuntimeUnavailable
from harness.runtimes.docker.network import host_routes
from harness.runtimes.ssh.place import Note
from harness.runtimes.ssh.tunnel import Tunnel
from tests.unit.rigs.core_rig import eventually
from tests.unit.rigs.ssh_rig import FarMachine, listener

ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t0000A8C0\t0\t1\t0\t0\t0\t00FFFFFF\n"


@pytest.fixture
def tunnel(far: FarMachine) -> Iterator[Tunnel]:
    """Open."""
    made = Tunnel.open(far.address, "/my/config", lambda start: start(), lambda line: None)
    yield made
    made.close()


def free_there() -> int:
    """A number that nobody has, here or there."""
    with socket.create_server(("127.0.0.2", 0)) as sock:
        return int(sock.getsockname()[1])


def test_the_engine_is_a_socket_here(far: FarMachine, tunnel: Tunnel) -> None:
    assert tunnel.docker_host == f"unix://{tunnel.place.socket}"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tunnel.place.socket))
        client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    note = Note.read(tunnel.place)
    assert note is not None
    assert (note.address, note.config) == (str(far.address), "/my/config")


def test_closing_it_leaves_nothing_and_may_be_repeated(tunnel: Tunnel) -> None:
    root = tunnel.place.path.parent
    tunnel.close()
    assert not root.exists()
    assert tunnel.lost() == ""
    tunnel.close()


@pytest.mark.parametrize(
    "how", [{"code": 255}, {"same_machine": True}, {"gateway_ports": "no", "say": "administratively prohibited\n"}]
)
def test_what_is_refused_leaves_nothing(far: FarMachine, how: dict[str, object]) -> None:
    far.behave(**how)
    with pytest.raises(RuntimeUnavailable):
        Tunnel.open(far.address, "", lambda start: start(), lambda line: None)
    assert not (far.home.parent / "t").exists()


def test_without_the_program_nothing_is_left_either(far: FarMachine) -> None:
    (far.home / "ssh").unlink()
    with pytest.raises(RuntimeUnavailable, match="no program `ssh`"):
        Tunnel.open(far.address, "", lambda start: start(), lambda line: None)
    assert not (far.home.parent / "t").exists()


def test_published_ports_have_the_same_numbers_here_until_they_are_ended(tunnel: Tunnel) -> None:
    with listener(("127.0.0.2", 0), lambda one: one.sendall(b"there")) as there:
        number = there.getsockname()[1]
        tunnel.forward([number])
        with socket.create_connection(("127.0.0.1", number), 5) as client:
            client.sendall(b"?")
            assert client.recv(9) == b"there"
        tunnel.forward_no_more([number])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", number), 5)
    tunnel.forward([])


def test_a_port_that_is_taken_here_is_a_port_error_and_none_of_the_others_stays(tunnel: Tunnel) -> None:
    other = free_there()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(PortError, match=f"127.0.0.1:{other}, 127.0.0.1:{number}: not all can be forwarded") as told:
            tunnel.forward([other, number])
    assert "run again" in told.value.next_step
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", other), 5)


def test_the_way_back_to_a_receiver_is_one_and_can_be_ended(far: FarMachine, tunnel: Tunnel) -> None:
    with listener(("127.0.0.1", 0), lambda one: one.sendall(b"here")) as here:
        number = here.getsockname()[1]
        port = tunnel.back("10.9.0.1", number)
        assert tunnel.back("10.9.0.1", number) == port
        with socket.create_connection(("127.0.0.3", port), 5) as client:
            client.sendall(b"?")
            assert client.recv(9) == b"here"
        tunnel.back_no_more("10.9.0.1", number)
        tunnel.back_no_more("10.9.0.1", number)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.3", port), 5)


def test_a_way_back_that_cannot_be_had_is_told(far: FarMachine) -> None:
    far.behave(gateway_ports="refused")
    tunnel = Tunnel.open(far.address, "", lambda start: start(), lambda line: None)
    try:
        with pytest.raises(RuntimeUnavailable, match=r"its sshd does not listen on 10\.9\.0\.1 for us"):
            tunnel.back("10.9.0.1", 1)
        with pytest.raises(RuntimeUnavailable, match="does not forward from"):
            tunnel.refuse_no_way_back("10.9.0.1")
    finally:
        tunnel.close()


def test_a_lost_connection_is_told_in_one_sentence(far: FarMachine, tunnel: Tunnel) -> None:
    assert tunnel.lost() == ""
    os.kill(tunnel.pid, signal.SIGKILL)
    sentence = f"docker engine at {far.address}: the ssh connection was lost: killed by SIGKILL"
    eventually(lambda: tunnel.lost() == sentence, 5)
    with pytest.raises(RuntimeUnavailable, match="the ssh connection was lost"):
        tunnel.forward([free_there()])


def test_numbers_that_are_taken_there_are_known(far: FarMachine, tunnel: Tunnel) -> None:
    far.behave(there="  sl  local_address rem_address   st\n"
                     "   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 0100007F:1F91 0100007F:1F90 01 0\n"
                     "   0: 00000000000000000000000000000000:0016 0:0000 0A 0\n")  # fmt: skip
    assert tunnel.listening() == {8080, 22}
    far.behave()
    assert tunnel.listening() == frozenset()


def test_the_routes_are_those_of_the_other_machine(far: FarMachine, tunnel: Tunnel) -> None:
    far.behave(there=ROUTES)
    assert [str(route) for route in host_routes(tunnel.routes())] == ["192.168.0.0/24"]
    far.behave()
    assert host_routes(tunnel.routes()) == []
