"""What the program `ssh` is called with. Source: ssh(1), ssh_config(5)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from harness.errors import RuntimeUnavailable
from harness.runtimes.ssh.address import SshAddress
from harness.runtimes.ssh.place import Place

PROGRAM = "ssh"
CONNECT_WITHIN = 10
"""Seconds in which the engine's machine has to answer."""
ALIVE_EVERY, ALIVE_TIMES = 5, 3
"""After so many unanswered questions, one every so many seconds, a connection is lost."""
OPTIONS = {
    "BatchMode": "yes",  # nothing is ever asked of a person: no password, no unknown host key
    "ConnectTimeout": CONNECT_WITHIN,
    "ServerAliveInterval": ALIVE_EVERY,
    "ServerAliveCountMax": ALIVE_TIMES,
    "ExitOnForwardFailure": "yes",
    "ClearAllForwardings": "yes",  # those of the user's configuration are meant for a person's session
    "ControlPersist": "no",  # it would leave our process, and outlive us
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "StreamLocalBindMask": "0177",
    "LogLevel": "INFO",  # why a connection is refused is to be told, whatever the user's configuration leaves out
}
ANY = "engine"
"""A host's name where none is looked up: the master knows its own."""


def master(address: SshAddress, place: Place, config: str) -> list[str]:
    """The connection itself, which forwards what it is told to at its control socket. Raises RuntimeUnavailable where
    there is no such program."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise RuntimeUnavailable(
            f"docker engine at {address}: no program `{PROGRAM}` on PATH: expected OpenSSH's client",
            "install it (openssh-client), or run the harness on the engine's machine",
        )
    words = [program, *(("-F", config) if config else ()), "-M", "-S", str(place.control), "-N", "-T", "-a", "-x"]
    for name, value in OPTIONS.items():
        words += ["-o", f"{name}={value}"]
    if address.port:
        words += ["-p", str(address.port)]
    return [*words, "--", address.destination]


def control(place: Place, *words: str, then: Sequence[str] = ()) -> list[str]:
    """A request to the master. No configuration is read, whose forwards would be requested too."""
    return [PROGRAM, "-F", "/dev/null", "-S", str(place.control), "-T", *words, ANY, *then]
