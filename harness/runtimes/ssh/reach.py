"""Engines by the addresses that users name, and by those under which they are reached from here.

A process that opens a connection leaves it to its children by HARNESS_TUNNELS: the directories of connections.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.credentials import without_password
from harness.errors import RuntimeUnavailable
from harness.ports import Spawner
from harness.runtimes.elsewhere import refuse_elsewhere
from harness.runtimes.ssh.address import SshAddress, is_ssh
from harness.runtimes.ssh.master import Tell
from harness.runtimes.ssh.place import Note, Place, place_of
from harness.runtimes.ssh.tunnel import Tunnel, here_and_now

TUNNELS = "HARNESS_TUNNELS"
DOCKER_HOST = "DOCKER_HOST"


def reach(address: str, config: Path | None = None, tell: Tell | None = None) -> str:
    """The address under which an engine is reached from this process: its own, or for one over ssh, a socket here.

    A connection is opened when there is none yet, and ends with this process; the main thread has to ask. Where
    DOCKER_HOST names that engine it then names the socket. Raises RuntimeUnavailable.
    """
    if not is_ssh(address):
        refuse_elsewhere(address)
        return address
    wanted = SshAddress.parse(address)
    if known := _known(wanted):
        return known.docker_host
    tunnel = Tunnel.open(wanted, str(config.absolute()) if config else "", here_and_now, tell or _say)
    atexit.register(tunnel.close)
    os.environ[TUNNELS] = os.pathsep.join(filter(None, [os.environ.get(TUNNELS, ""), str(tunnel.place.path)]))
    if os.environ.get(DOCKER_HOST) == address:
        os.environ[DOCKER_HOST] = tunnel.docker_host
    return tunnel.docker_host


def reached(address: str) -> str:
    """The same where a connection was opened before, by this process or one above it. Raises RuntimeUnavailable."""
    if not is_ssh(address):
        refuse_elsewhere(address)
        return address
    known = _known(SshAddress.parse(address))
    if known is None:
        raise RuntimeUnavailable(
            f"docker engine at {without_password(address)}: there is no ssh connection to it, or no more", "run again"
        )
    return known.docker_host


def as_reached(address: str) -> str:
    """The same, or the address itself where nobody has connected yet: whoever asks that engine will, or be refused."""
    try:
        return reached(address) if is_ssh(address) else address
    except RuntimeUnavailable:
        return address


def spoken(address: str) -> str:
    """An engine's address as a user named it: of a forwarded socket, the one over ssh that it leads to."""
    note = _note_of(address)
    return note.address if note else without_password(address)


def own_tunnel(address: str, spawner: Spawner) -> Tunnel | None:
    """A connection of this process's own, for an engine over ssh or a socket that is forwarded from one; None for one
    of this machine. Raises RuntimeUnavailable."""
    note = _note_of(address)
    if note is None and not is_ssh(address):
        return None
    wanted = SshAddress.parse(note.address if note else address)
    return Tunnel.open(wanted, note.config if note else "", spawner, _say)


def _note_of(address: str) -> Note | None:
    place = place_of(address)
    return Note.read(place) if place else None


def _known(wanted: SshAddress) -> Place | None:
    """The place of a connection to this engine whose owner lives."""
    for place in _left_to_us():
        note = Note.read(place)
        if note and note.address == str(wanted) and note.owner.alive:
            return place
    return None


def _left_to_us() -> Iterator[Place]:
    for name in os.environ.get(TUNNELS, "").split(os.pathsep):
        if name:
            yield Place(Path(name))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
