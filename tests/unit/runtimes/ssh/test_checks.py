"""What has to hold before a stack is started over ssh: each trouble is one sentence, found at once."""

from __future__ import annotations

import socket
import threading

import pytest

from harness.errors import RuntimeUnavailable
from harness.runtimes.ssh import checks as subject
from harness.runtimes.ssh.checks import Listener, refuse_no_engine, refuse_this_machine, refuse_unreachable
from harness.runtimes.ssh.master import Master
from tests.unit.rigs.ssh_rig import FarMachine


@pytest.fixture
def opened(master: Master) -> Master:
    """The connection, open, and the engine's socket forwarded."""
    master.open(lambda line: None)
    master.forward(f"-L{master.place.socket}:{master.address.socket}")
    return master


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come is not waited for."""
    monkeypatch.setattr(subject, "COMES_WITHIN", 0.2)


def test_another_machine_with_an_engine_is_let_through(opened: Master) -> None:
    refuse_this_machine(opened)
    refuse_no_engine(opened)
    refuse_unreachable(opened, "10.9.0.1")


def test_this_very_machine_is_told(far: FarMachine, opened: Master) -> None:
    far.behave(same_machine=True)
    with pytest.raises(RuntimeUnavailable, match="that is this very machine") as refused:
        refuse_this_machine(opened)
    assert "unix:///var/run/docker.sock" in refused.value.next_step


def test_a_server_that_forwards_no_ports_is_told(opened: Master) -> None:
    with opened.place.log.open("a") as log:
        log.write("channel 3: open failed: administratively prohibited: open failed\n")
    with pytest.raises(RuntimeUnavailable, match="its sshd forwards no ports") as refused:
        refuse_this_machine(opened)
    assert "AllowTcpForwarding yes" in refused.value.next_step


@pytest.mark.parametrize(
    ("there", "sentence", "step"),
    [
        ("absent\n", "there is no ", "start its engine"),
        ("other\n", "is no socket", "name the engine's socket"),
        ("denied\n", "me may not use ", "into its group"),
        ("silent\n", "nobody answers at ", "AllowStreamLocalForwarding"),
        (None, "nobody answers at ", "AllowStreamLocalForwarding"),
    ],
)
def test_no_engine_there_is_told_with_what_is_there(
    far: FarMachine, opened: Master, there: str | None, sentence: str, step: str
) -> None:
    far.socket.unlink()
    far.behave(**({"there": there} if there else {}))
    with pytest.raises(RuntimeUnavailable) as refused:
        refuse_no_engine(opened)
    assert f"docker engine at {far.address}: " in refused.value.message
    assert sentence in refused.value.message
    assert str(far.socket) in refused.value.message
    assert step in refused.value.next_step


def test_what_ssh_said_of_the_engine_is_told(far: FarMachine, opened: Master) -> None:
    far.socket.unlink()
    with pytest.raises(RuntimeUnavailable, match="connect failed: open failed"):
        refuse_no_engine(opened)


@pytest.mark.parametrize(
    ("gateway_ports", "sentence", "step"),
    [
        ("no", "from its loopback only, where no container gets: expected 10.9.0.1", "and reload it"),
        ("yes", "from every address it has, open to its network: expected 10.9.0.1 alone", "in place of `yes`"),
        ("refused", "does not forward from 10.9.0.1 to here", "AllowTcpForwarding"),
    ],
)
def test_a_way_back_that_services_would_not_find_is_told(
    far: FarMachine, master: Master, gateway_ports: str, sentence: str, step: str
) -> None:
    far.behave(gateway_ports=gateway_ports)
    master.open(lambda line: None)
    with pytest.raises(RuntimeUnavailable) as refused:
        refuse_unreachable(master, "10.9.0.1")
    assert sentence in refused.value.message
    assert "`GatewayPorts clientspecified` in its sshd_config" in refused.value.next_step
    assert step in refused.value.next_step


def test_the_check_leaves_no_way_behind(far: FarMachine, opened: Master) -> None:
    refuse_unreachable(opened, "10.9.0.1")
    (asked,), (cancelled,) = ([words[-2] for words in far.calls("-O", verb) if words[-2].startswith("-R")]
                              for verb in ("forward", "cancel"))  # fmt: skip
    assert asked == cancelled


def test_a_listener_hears_its_own_word_only_and_is_gone_afterwards() -> None:
    with Listener() as listener:
        for said, heard in ((b"x" * 16, False), (listener.word, True)):
            with socket.create_connection(("127.0.0.1", listener.port), 5) as client:
                client.sendall(said)
            assert listener.heard() is heard
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port), 5)
    assert "ssh-check" not in {thread.name for thread in threading.enumerate()}
