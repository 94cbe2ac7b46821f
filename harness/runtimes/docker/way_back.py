"""Whether services of an engine over ssh could call this machine back, asked before there is a stack."""

from __future__ import annotations

from docker.errors import DockerException
from requests import RequestException

from harness.errors import RuntimeUnavailable
from harness.runtimes.docker import network
from harness.runtimes.docker.engine import engine_address, make_client, reason
from harness.runtimes.ssh.address import SshAddress
from harness.runtimes.ssh.checks import refuse_unreachable
from harness.runtimes.ssh.master import Master
from harness.runtimes.ssh.place import Note, place_of
from harness.runtimes.ssh.reach import as_reached
from harness.runtimes.ssh.tunnel import here_and_now

BRIDGE = "bridge"
"""The network that an engine has by itself, unless it was told otherwise."""


def try_way_back(address: str = "") -> str:
    """What is to be told of it: an address of the engine's machine that is forwarded to here, or nothing for an engine
    of this machine. Raises RuntimeUnavailable when services would not get here."""
    place = place_of(as_reached(address or engine_address()))
    note = Note.read(place) if place else None
    if place is None or note is None:
        return ""
    try:
        gateway = str(_gateway(address))
    except (DockerException, RequestException, KeyError, IndexError) as error:
        return f"{note.address}: not tried, for its network {BRIDGE} is not to be had: {reason(error)}"
    master = Master(SshAddress.parse(note.address), place, note.config, here_and_now)
    try:
        refuse_unreachable(master, gateway)
    except OSError as error:
        raise RuntimeUnavailable(f"docker engine at {note.address}: {error}", "see its sshd's log") from error
    return f"{note.address}: services reach receivers of this machine at {gateway}"


def _gateway(address: str) -> object:
    client = make_client(address=address)
    try:
        return network.gateway(client.networks.get(BRIDGE)).ip
    finally:
        client.close()
