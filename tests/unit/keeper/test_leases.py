"""Port leases: an address stays its service's through kill and restart, and nobody else gets it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from harness.errors import PortError
from harness.keeper import leases
from harness.keeper.leases import Leases
from harness.model import Endpoint, Port
from tests.unit.rigs.core_rig import eventually

SERVER = """
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
while True: s.accept()[0].sendall(b"hello")
"""


@pytest.fixture
def held() -> Leases:
    return Leases()


def answers(endpoint: Endpoint) -> bool:
    try:
        with socket.create_connection((endpoint.host, endpoint.port), 1) as connection:
            return connection.recv(5) == b"hello"
    except ConnectionError:
        return False


def test_an_address_can_be_on_another_of_this_machines_addresses(held: Leases) -> None:
    assert held.lease(Port("tcp", 1), "127.0.0.2").host == "127.0.0.2"
    with pytest.raises(PortError, match=r"192\.0\.2\.1: Cannot assign requested address"):
        held.lease(Port("tcp", 1), "192.0.2.1")
    held.release()


def test_an_address_survives_kill_and_restart(held: Leases) -> None:
    endpoint = held.lease(Port("http", 80, "http"))
    assert (endpoint.name, endpoint.host, endpoint.scheme) == ("http", "127.0.0.1", "http")
    for _ in range(2):
        server = subprocess.Popen([sys.executable, "-c", SERVER, str(endpoint.port)])
        eventually(lambda: answers(endpoint))
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        assert not answers(endpoint)
    held.release()


def test_a_plain_bind_is_refused_while_leased_and_allowed_after(held: Leases) -> None:
    endpoint = held.lease(Port("x", 1))
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind((endpoint.host, endpoint.port))
    held.release()
    held.release()
    with socket.socket() as other:
        other.bind((endpoint.host, endpoint.port))


def test_no_two_leases_share_a_number(held: Leases) -> None:
    endpoints = [held.lease_all([Port("a", 1), Port("b", 2, "udp")]) for _ in range(20)]
    numbers = [endpoint.port for pair in endpoints for endpoint in pair.values()]
    assert len(set(numbers)) == 40
    held.release()


def test_a_udp_lease_is_free_for_datagrams_too(held: Leases) -> None:
    endpoint = held.lease(Port("dns", 53, "udp"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((endpoint.host, endpoint.port))
    held.release()


def test_a_number_taken_for_udp_is_passed_over(held: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        assert not leases._udp_is_free(taken.getsockname()[1])
    free = iter([False, False, True])
    monkeypatch.setattr(leases, "_udp_is_free", lambda number: next(free))
    assert held.lease(Port("dns", 53, "udp")).port
    assert len(held.held) == 1
    held.release()


def test_no_number_free_for_both_is_told(held: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_udp_is_free", lambda number: False)
    with pytest.raises(PortError, match="no port free for both TCP and UDP after 32 tries"):
        held.lease(Port("dns", 53, "udp"))
    assert held.held == []


@pytest.mark.parametrize(("number", "told"), [(98, "127.0.0.1: no free port"), (13, "127.0.0.1: Permission denied")])
def test_a_machine_without_ports_is_told(held: Leases, monkeypatch: pytest.MonkeyPatch, number: int, told: str) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("socket.socket.bind", refuse)
    with pytest.raises(PortError, match=told):
        held.lease(Port("x", 1))
