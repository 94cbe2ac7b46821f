"""What has to hold before a stack is started over ssh, each asked for in a second instead of timed out in a minute."""

from __future__ import annotations

import secrets
import shlex
import socket
import threading

from harness.errors import RuntimeUnavailable
from harness.runtimes.ssh.master import Master

HERE = "127.0.0.1"
ANSWER_WITHIN = 5.0
"""Seconds in which the engine says that it is there, over ssh."""
COMES_WITHIN = 3.0
"""Seconds in which what was sent to a listener of ours has come, when it comes at all."""
ASKING = (
    'p={}; if [ ! -e "$p" ]; then echo absent; elif [ ! -S "$p" ]; then echo other; '
    'elif [ ! -r "$p" ] || [ ! -w "$p" ]; then echo denied; else echo silent; fi'
)


class Listener:
    """Ours, on loopback, for one word that nobody else knows; it takes one connection after the other."""

    def __init__(self) -> None:
        self.word = secrets.token_hex(8).encode()
        self._socket = socket.create_server((HERE, 0))
        self._came = threading.Event()
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, daemon=True, name="ssh-check")

    def heard(self) -> bool:
        """Whether the word has come since this was asked before."""
        came = self._came.wait(COMES_WITHIN)
        self._came.clear()
        return came

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                if _first_bytes(connection, len(self.word)) == self.word:
                    self._came.set()

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(COMES_WITHIN)


def _first_bytes(connection: socket.socket, count: int) -> bytes:
    connection.settimeout(COMES_WITHIN)
    try:
        return connection.recv(count, socket.MSG_WAITALL)
    except OSError:
        return b""


def refuse_this_machine(master: Master) -> None:
    """Raises RuntimeUnavailable when what listens on loopback here is reached on loopback there: its published ports
    would be taken by their own forwards. Also when no port may be reached there at all."""
    with Listener() as listener:
        if master.reaches(HERE, listener.port, listener.word) and listener.heard():
            raise RuntimeUnavailable(
                f"docker engine at {master.address}: that is this very machine",
                "name the engine's socket: DOCKER_HOST=unix:///var/run/docker.sock",
            )
    if "administratively prohibited" in master.place.printed():
        raise RuntimeUnavailable(
            f"docker engine at {master.address}: its sshd forwards no ports from here to there",
            "allow it there: `AllowTcpForwarding yes` in its sshd_config",
        )


def refuse_no_engine(master: Master) -> None:
    """Raises RuntimeUnavailable when no engine answers at the forwarded socket."""
    if _pings(master):
        return
    path = master.address.socket
    where = f"docker engine at {master.address}"
    match (master.there(ASKING.format(shlex.quote(path))) or "").strip():
        case "absent":
            raise RuntimeUnavailable(
                f"{where}: there is no {path}", "start its engine, or name its socket in the address"
            )
        case "other":
            raise RuntimeUnavailable(f"{where}: {path} is no socket", "name the engine's socket in the address")
        case "denied":
            who = master.address.user or "the user there"
            raise RuntimeUnavailable(
                f"{where}: {who} may not use {path}", "put that user into its group (docker) there"
            )
    raise RuntimeUnavailable(
        f"{where}: nobody answers at {path} within {ANSWER_WITHIN:.0f} s: {_said(master)}",
        "see its engine, and AllowStreamLocalForwarding in its sshd_config",
    )


def _said(master: Master) -> str:
    lines = [line for line in master.place.printed().splitlines() if "open failed" in line]
    return lines[-1].partition("open failed: ")[2] if lines else "no word"


def _pings(master: Master) -> bool:
    """Whether an engine is there. Source: Engine API, "Ping"."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as client:
        client.settimeout(ANSWER_WITHIN)
        try:
            client.connect(str(master.place.socket))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return client.recv(16).startswith(b"HTTP/1.")
        except OSError:
            return False


def refuse_unreachable(master: Master, host: str) -> None:
    """Raises RuntimeUnavailable when a listener here is not reached at this address there, or at others too.

    An sshd that is not told otherwise listens on loopback without a word, whatever address it is asked for.
    """
    where, gateway_ports = f"docker engine at {master.address}", "set `GatewayPorts clientspecified` in its sshd_config"
    with Listener() as listener:
        spec = f"-R{host}:0:{HERE}:{listener.port}"
        try:
            port = int(master.forward(spec))
        except (OSError, ValueError) as error:
            raise RuntimeUnavailable(
                f"{where}: its sshd does not forward from {host} to here, where services call us back: {error}",
                f"allow it (AllowTcpForwarding), and {gateway_ports}; the engine has to be on sshd's own machine",
            ) from error
        try:
            reached = master.reaches(host, port, listener.word) and listener.heard()
            if not reached:
                raise RuntimeUnavailable(
                    f"{where}: its sshd forwards from its loopback only, where no container gets: expected {host}",
                    f"{gateway_ports}, and reload it",
                )
            if master.reaches(HERE, port, listener.word) and listener.heard():
                raise RuntimeUnavailable(
                    f"{where}: its sshd forwards from every address it has, open to its network: expected {host} alone",
                    f"{gateway_ports} in place of `yes`, and reload it",
                )
        finally:
            master.cancel(spec)
