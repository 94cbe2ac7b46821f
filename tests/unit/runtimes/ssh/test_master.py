"""The connection: opened or refused in words, forwarding what it is told, and never outliving its owner."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import RuntimeUnavailable
from harness.identity import Identity
from harness.runtimes.ssh import master as subject
from harness.runtimes.ssh.master import Master
from tests.unit.rigs.core_rig import eventually
from tests.unit.rigs.ssh_rig import FarMachine, listener

OWNER = """
import sys, time
from harness.identity import Identity
from harness.runtimes.ssh.address import SshAddress
from harness.runtimes.ssh.master import Master
from harness.runtimes.ssh.place import Note, Place
from pathlib import Path
place = Place(Path(sys.argv[1]))
made = Master(SshAddress("far.test"), place, "", lambda start: start())
made.open(print)
print(made.pid, flush=True)
time.sleep(60)
"""


def silent(line: str) -> None:
    raise AssertionError(f"told although it was quick: {line}")


def test_it_is_open_once_it_listens_for_requests(master: Master) -> None:
    seen = [master.alive]
    master.open(silent)
    seen.append(master.alive)
    master.close()
    seen.append(master.alive)
    assert seen == [False, True, False]
    assert not master.place.path.exists()


def test_a_refusal_is_told_in_words(far: FarMachine, master: Master) -> None:
    far.behave(say="me@far.test: Permission denied (publickey).\n", code=255)
    with pytest.raises(RuntimeUnavailable, match="the login as me is refused"):
        master.open(silent)


def test_a_login_that_takes_long_is_told_and_ends(
    far: FarMachine, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.behave(hang=30)
    monkeypatch.setattr(subject, "TOLD_AFTER", 0.0)
    monkeypatch.setattr(subject, "LOGIN_WITHIN", 0.2)
    told: list[str] = []
    with pytest.raises(RuntimeUnavailable, match="the login is not over after 0 s"):
        master.open(told.append)
    (line,) = told
    assert line.startswith(f"logging in for the docker engine at {far.address}, at most")


def test_a_program_that_cannot_be_started_is_told(far: FarMachine, master: Master) -> None:
    (far.home / "ssh").chmod(0o600)
    with pytest.raises(RuntimeUnavailable, match="Permission denied"):
        master.open(silent)


def test_a_port_is_forwarded_until_it_is_cancelled(master: Master) -> None:
    master.open(silent)
    with listener(("127.0.0.2", 0), lambda one: one.sendall(b"there")) as there:
        number = there.getsockname()[1]
        spec = f"-L127.0.0.1:{number}:127.0.0.1:{number}"
        assert master.forward(spec) == ""
        with socket.create_connection(("127.0.0.1", number), 5) as client:
            client.sendall(b"?")
            assert client.recv(9) == b"there"
        master.cancel(spec, spec)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", number), 5)


def test_a_way_back_has_a_port_that_the_other_side_chose(master: Master) -> None:
    master.open(silent)
    with listener(("127.0.0.1", 0), lambda one: one.sendall(b"here")) as here:
        port = int(master.forward(f"-R10.9.0.1:0:127.0.0.1:{here.getsockname()[1]}"))
        with socket.create_connection(("127.0.0.3", port), 5) as client:
            client.sendall(b"?")
            assert client.recv(9) == b"here"


def test_what_cannot_be_forwarded_is_an_error_of_the_system(master: Master) -> None:
    master.open(silent)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(OSError, match="forwarding request failed"):
            master.forward(f"-L127.0.0.1:{number}:127.0.0.1:{number}")


def test_a_request_that_is_not_answered_is_given_up(
    far: FarMachine, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "ANSWER_WITHIN", 0.1)
    (far.home / "ssh").write_text("#!/bin/sh\nexec /bin/sleep 5\n")
    with pytest.raises(OSError, match="no answer within 0 s"):
        master.forward("-Lx")
    assert master.there("id") is None
    master.cancel("-Lx")


def test_a_command_there_is_run_where_that_is_allowed(far: FarMachine, master: Master) -> None:
    far.behave(there="absent\n")
    assert master.there("id") == "absent\n"
    far.behave()
    assert master.there("id") is None


def test_its_last_words_are_those_about_the_connection(far: FarMachine, master: Master) -> None:
    far.behave(say="channel 1: open failed: connect failed: \nTimeout, server far.test not responding.\n")
    master.open(silent)
    os.kill(master.pid, signal.SIGKILL)
    eventually(lambda: not master.alive, 5)
    assert master.last_words() == "Timeout, server far.test not responding."
    master.place.log.write_text("mux_client: x\n")
    assert master.last_words() == "killed by SIGKILL"


def test_it_dies_with_its_owner_however_that_ends(far: FarMachine, state: Path) -> None:
    (state / "p").mkdir()
    command = [sys.executable, "-c", OWNER, str(state / "p")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        child = Identity.of(int(owner.stdout.readline()))
        assert child is not None
        owner.kill()
    eventually(lambda: not child.alive, 5)
