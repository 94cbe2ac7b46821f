"""A machine behind a program `ssh` that is none: see `fake_ssh`."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.runtimes.ssh.address import SshAddress

PROGRAM = Path(__file__).with_name("fake_ssh.py")


@dataclass
class FarMachine:
    """Its program here, and where its engine's socket is."""

    home: Path
    socket: Path

    @property
    def address(self) -> SshAddress:
        """As a user names it."""
        return SshAddress("far.test", "me", 0, str(self.socket))

    def behave(self, **how: Any) -> None:
        """What the program does from now on, otherwise than forward."""
        (self.home / "behaviour.json").write_text(json.dumps(how))

    def calls(self, *having: str) -> list[list[str]]:
        """What it was called with, where these words were among it."""
        lines = (self.home / "calls.jsonl").read_text().splitlines()
        return [words for words in map(json.loads, lines) if {*having} <= {*words}]


@contextmanager
def far_machine(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FarMachine]:
    """On PATH alone; connections have their directories below `state`, and what they change is undone."""
    home = state / "bin"
    home.mkdir()
    program = home / "ssh"
    program.write_text(f"#!{sys.executable} -ISs\n" + PROGRAM.read_text())
    program.chmod(0o755)
    (home / "calls.jsonl").touch()
    made = FarMachine(home, state / "e")
    made.behave()
    monkeypatch.setenv("PATH", str(home))
    monkeypatch.setenv("HARNESS_TUNNELS", "")
    monkeypatch.setenv("DOCKER_HOST", str(made.address))
    monkeypatch.setattr("harness.runtimes.ssh.place.root", lambda: state / "t")
    with listener(str(made.socket), lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nOK")):
        yield made


@contextmanager
def listener(place: Any, answer: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """Answers each connection, at a path or an address, and hangs up."""
    made = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(place)
    made.listen(16)

    def serve() -> None:
        while True:
            try:
                connection, _ = made.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    yield made
    made.shutdown(socket.SHUT_RDWR)
    made.close()
