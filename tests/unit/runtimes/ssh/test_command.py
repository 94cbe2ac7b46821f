"""What ssh is called with: nothing is ever asked of a person, and nothing in an address becomes an option."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import RuntimeUnavailable
from harness.runtimes.ssh import command
from harness.runtimes.ssh.address import SshAddress
from harness.runtimes.ssh.place import Place
from tests.unit.rigs.ssh_rig import FarMachine

PLACE = Place(Path("/t/x"))


def test_a_connection_asks_nobody_and_notices_when_it_is_dead(far: FarMachine) -> None:
    words = command.master(SshAddress("h", "me", 2222), PLACE, "")
    assert words[:4] == [str(far.home / "ssh"), "-M", "-S", "/t/x/c"]
    assert words[-4:] == ["-p", "2222", "--", "me@h"]
    for option in ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3",
                   "ExitOnForwardFailure=yes", "ControlPersist=no"):  # fmt: skip
        assert words[words.index(option) - 1] == "-o"


def test_a_configuration_that_was_named_is_the_only_one(far: FarMachine) -> None:
    words = command.master(SshAddress("h"), PLACE, "/my/config")
    assert words[1:3] == ["-F", "/my/config"]
    assert "-p" not in words


def test_a_request_reads_no_configuration() -> None:
    words = command.control(PLACE, "-O", "forward", "-Lx", then=["id"])
    assert words == ["ssh", "-F", "/dev/null", "-S", "/t/x/c", "-T", "-O", "forward", "-Lx", "engine", "id"]


def test_without_the_program_that_is_told(far: FarMachine) -> None:
    (far.home / "ssh").unlink()
    with pytest.raises(RuntimeUnavailable, match="ssh://h: no program `ssh` on PATH") as refused:
        command.master(SshAddress("h"), PLACE, "")
    assert "openssh-client" in refused.value.next_step
