"""The directory of one connection: ssh's control socket, the engine's socket, and a note of whose they are.

Not in the run's directory: a socket's address has at most 108 bytes (unix(7)), ssh adds 17 of its own while it makes
one, and unlike the keeper's it cannot be named by a descriptor.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.identity import Identity

LONGEST = 80
"""Bytes of a directory's path that leave room for the sockets' names."""
YOUNG = 30.0
"""Seconds in which a directory without a note may still be about to get one."""
SHORT = Path("/tmp")  # noqa: S108 # nosec B108
"""Where a directory has room for a socket's name; what lies below it is this user's alone, or refused."""


@dataclass(frozen=True)
class Place:
    """Paths of one connection."""

    path: Path

    @property
    def control(self) -> Path:
        """Where the master is told what to forward."""
        return self.path / "c"

    @property
    def socket(self) -> Path:
        """The engine's socket, forwarded here."""
        return self.path / "d"

    @property
    def log(self) -> Path:
        """What ssh printed."""
        return self.path / "log"

    @property
    def note(self) -> Path:
        """Whose connection it is, and where it leads."""
        return self.path / "note.json"

    @property
    def docker_host(self) -> str:
        """The engine as an address of this machine."""
        return f"unix://{self.socket}"

    def printed(self) -> str:
        """All that ssh has printed."""
        try:
            return self.log.read_text(errors="replace")
        except OSError:
            return ""

    def remove(self) -> None:
        """Delete it, and the root with the last one."""
        shutil.rmtree(self.path, ignore_errors=True)
        try:
            self.path.parent.rmdir()
        except OSError:  # another connection is there, or another sweeper was quicker
            return


@dataclass(frozen=True)
class Note:
    """Who opened a connection, to which engine, and with which configuration of ssh (empty: the user's own)."""

    address: str
    config: str
    owner: Identity

    def write(self, place: Place) -> None:
        """Leave it in its place."""
        data = {"address": self.address, "config": self.config, "owner": self.owner.to_json()}
        place.note.write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def read(cls, place: Place) -> Note | None:
        """The note of a place; None when there is none, or it cannot be read."""
        try:
            data = json.loads(place.note.read_text(encoding="utf-8"))
            return cls(data["address"], data["config"], Identity.from_json(data["owner"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def root() -> Path:
    """Where this user's connections have their directories."""
    name = f"ih-ssh-{os.getuid()}"
    usual = Path(tempfile.gettempdir()) / name
    return usual if len(os.fsencode(usual)) < LONGEST - 16 else SHORT / name


def new_place(note: Note) -> Place:
    """A directory of its own, only for this user. Raises UsageError when there can be none."""
    above = root()
    try:
        above.mkdir(mode=0o700, exist_ok=True)
        found = above.lstat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise UsageError(f"{above} can be entered by others", "remove it, or choose another place with TMPDIR")
        place = Place(Path(tempfile.mkdtemp(prefix="", dir=above)))
    except FileNotFoundError:  # swept between the two calls
        return new_place(note)
    except OSError as error:
        raise UsageError(f"{above}: {error.strerror}", "choose another place with TMPDIR") from error
    note.write(place)
    return place


def all_places() -> Iterator[Place]:
    """Every connection's directory of this user."""
    try:
        found = sorted(root().iterdir())
    except OSError:
        return
    for path in found:
        if path.is_dir() and not path.is_symlink():
            yield Place(path)


def sweep() -> None:
    """Remove what dead owners left. Their connections ended with them; one of another container is left alone."""
    for place in all_places():
        note = Note.read(place)
        if note is None and _age(place) < YOUNG:
            continue
        if note is None or not (note.owner.alive or note.owner.foreign):
            place.remove()


def _age(place: Place) -> float:
    try:
        return time.time() - place.path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def place_of(docker_host: str) -> Place | None:
    """The place whose forwarded socket an address names; None for every other address."""
    scheme, _, path = docker_host.partition("://")
    place = Place(Path(path).parent)
    return place if scheme == "unix" and place.socket == Path(path) and place.note.exists() else None
