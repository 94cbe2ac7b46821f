"""An engine on another machine, as if it were one of this: its socket, the ports it publishes, and a way back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.errors import PortError, RuntimeUnavailable
from harness.identity import Identity
from harness.ports import Spawner
from harness.runtimes.ssh.address import SshAddress
from harness.runtimes.ssh.checks import HERE, refuse_no_engine, refuse_this_machine, refuse_unreachable
from harness.runtimes.ssh.master import Master, Tell
from harness.runtimes.ssh.place import Note, new_place, sweep

LISTENS = "0A"
"""The state of a socket that listens."""


def here_and_now(start: Callable[[], None]) -> None:
    """A spawner for a thread that lives as long as what it spawns is needed: the main thread, or one that closes."""
    start()


class Tunnel:
    """Made by `open`. Safe to use from several threads."""

    def __init__(self, address: SshAddress, master: Master) -> None:
        self.address, self.place = address, master.place
        self._master = master
        self._back: dict[int, int] = {}
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, address: SshAddress, config: str, spawner: Spawner, tell: Tell) -> Tunnel:
        """Log in, forward the engine's socket, and see that an engine answers there. Raises RuntimeUnavailable, also
        for an ssh server on this very machine."""
        sweep()
        place = new_place(Note(str(address), config, Identity.mine()))
        try:
            master = Master(address, place, config, spawner)
        except RuntimeUnavailable:
            place.remove()
            raise
        try:
            master.open(tell)
            refuse_this_machine(master)
            master.forward(f"-L{place.socket}:{address.socket}")
            refuse_no_engine(master)
        except OSError as error:
            master.close()
            raise RuntimeUnavailable(f"docker engine at {address}: {error}", "see its sshd's log") from error
        except BaseException:
            master.close()
            raise
        return cls(address, master)

    @property
    def docker_host(self) -> str:
        """The engine as an address of this machine."""
        return self.place.docker_host

    @property
    def pid(self) -> int:
        """The process that is the connection."""
        return self._master.pid

    def lost(self) -> str:
        """Why nothing gets through any more; empty while the connection stands, and after `close`."""
        if self._closed or self._master.alive:
            return ""
        return f"docker engine at {self.address}: the ssh connection was lost: {self._master.last_words()}"

    def forward(self, ports: Sequence[int]) -> None:
        """What is published on loopback there answers on loopback here, at the same numbers. Raises PortError,
        and RuntimeUnavailable when the connection was lost."""
        specs = [_there(port) for port in ports]
        if not specs:
            return
        try:
            self._master.forward(*specs)
        except OSError as error:
            self._master.cancel(*specs)
            if self.lost():
                raise RuntimeUnavailable(self.lost(), "see the network; then run again") from error
            told = ", ".join(f"{HERE}:{port}" for port in ports)
            raise PortError(
                f"{told}: not all can be forwarded from {self.address}: {error}",
                "somebody outside took a leased port; run again",
            ) from error

    def forward_no_more(self, ports: Iterable[int]) -> None:
        """Connections to these ports are refused from now on."""
        self._master.cancel(*map(_there, ports))

    def back(self, host: str, port: int) -> int:
        """The port of an address there at which what listens on loopback here is reached. Raises RuntimeUnavailable."""
        with self._lock:
            if port not in self._back:
                try:
                    self._back[port] = int(self._master.forward(_here(host, port)))
                except (OSError, ValueError) as error:
                    raise RuntimeUnavailable(
                        f"docker engine at {self.address}: its sshd does not listen on {host} for us: {error}",
                        "see AllowTcpForwarding and GatewayPorts in its sshd_config, and its log",
                    ) from error
            return self._back[port]

    def back_no_more(self, host: str, port: int) -> None:
        """End it; harmless when there is no such way."""
        with self._lock:
            if self._back.pop(port, None) is not None:
                self._master.cancel(_here(host, port))

    def refuse_no_way_back(self, host: str) -> None:
        """Raises RuntimeUnavailable when what listens here cannot be reached at an address of the engine's machine,
        or could be at all of them."""
        try:
            refuse_unreachable(self._master, host)
        except OSError as error:
            raise RuntimeUnavailable(f"docker engine at {self.address}: {error}", "see its sshd's log") from error

    def routes(self) -> Path:
        """The engine machine's routes as proc(5) has them; an empty file where it does not tell."""
        file = self.place.path / "route"
        file.write_text(self._master.there("cat /proc/net/route") or "\n", encoding="utf-8")
        return file

    def listening(self) -> frozenset[int]:
        """The numbers that somebody listens at there; none where it does not tell. Source: proc(5), /proc/net/tcp."""
        rows = (line.split() for line in (self._master.there("cat /proc/net/tcp /proc/net/tcp6") or "").splitlines())
        return frozenset(int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == LISTENS)

    def close(self) -> None:
        """End the connection and remove what is left of it, of dead ones too. Repeatable."""
        self._closed = True
        self._master.close()
        sweep()


def _there(port: int) -> str:
    return f"-L{HERE}:{port}:{HERE}:{port}"


def _here(host: str, port: int) -> str:
    return f"-R{host}:0:{HERE}:{port}"
