"""fakeredis's TCP server, with a password that is asked for and an INFO that says what answers.

fakeredis offers no hook for a command of one's own, so each connection's command method is wrapped; the lock file
pins the version that this fits, and a test notices when it does not.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable
from typing import Any, cast

from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler
from fakeredis._helpers import SimpleError
from redis.exceptions import ResponseError

VERSION = "8.0.0+emu"
"""The version of Redis that fakeredis follows."""
OPEN_COMMANDS = frozenset({b"AUTH", b"HELLO", b"QUIT", b"RESET"})
NOAUTH = "NOAUTH Authentication required."
WRONGPASS = "WRONGPASS invalid username-password pair or user is disabled."

Process = Callable[[list[bytes]], None]


class Door:
    """Stands before one connection: lets commands through once the password was given."""

    def __init__(self, server: EmulatedRedis, connection: Any) -> None:
        self._server, self._connection = server, connection
        self._answer: Callable[[Any], None] = connection.put_response
        self._process: Process = connection._process_command
        self._open = not server.password

    def __call__(self, fields: list[bytes]) -> None:
        """Handle one command: what is ours here, everything else by fakeredis."""
        name = fields[0].upper() if fields else b""
        if not self._open and name not in OPEN_COMMANDS:
            self._answer(SimpleError(NOAUTH))
        elif name == b"AUTH":
            self._answer(self._authenticated(fields[1:]))
        elif name == b"HELLO":
            self._hello(fields)
        elif name == b"INFO":
            inside = self._connection._transaction is not None
            self._answer(SimpleError("ERR INFO inside MULTI is not emulated (501)") if inside else self._server.info())
        else:
            self._process(fields)

    def _authenticated(self, words: list[bytes]) -> Any:
        if not words or len(words) > 2:
            return SimpleError("ERR wrong number of arguments for 'auth' command")
        if not self._server.password:
            return SimpleError(
                "ERR AUTH <password> called without any password configured for the default user. "
                "Are you sure your configuration is correct?"
            )
        user = words[0] if len(words) == 2 else b"default"
        if user != b"default" or not hmac.compare_digest(words[-1], self._server.password):
            return SimpleError(WRONGPASS)
        self._open = True
        return b"OK"

    def _hello(self, fields: list[bytes]) -> None:
        """`HELLO [version [AUTH user password]]`: the login is ours, the protocol fakeredis's."""
        upper = [field.upper() for field in fields]
        if b"AUTH" in upper:
            at = upper.index(b"AUTH")
            outcome = self._authenticated(fields[at + 1 : at + 3])
            if isinstance(outcome, SimpleError):
                self._answer(outcome)
                return
            fields = fields[:at] + fields[at + 3 :]
        if self._open:
            self._process(fields)
        else:
            self._answer(SimpleError("NOAUTH HELLO must be called with the client already authenticated"))


class Handler(TCPFakeRequestHandler):
    """One connection, with a door before it."""

    def setup(self) -> None:
        """Called by socketserver before the first byte is read."""
        super().setup()
        connection = cast("Any", self.current_client.get_socket())
        server = cast("EmulatedRedis", self.server)
        connection._process_command = Door(server, connection)
        self._read = self.current_client.read_response
        cast("Any", self.current_client).read_response = self._answer_or_error

    def _answer_or_error(self) -> Any:
        """An error is an answer too: fakeredis would write it and then close the connection, which no server does."""
        try:
            return self._read()
        except ResponseError as error:
            return error


class EmulatedRedis(TcpFakeServer):
    """Listens on an address, with a password (empty for none)."""

    def __init__(self, address: tuple[str, int], password: str) -> None:
        super().__init__(cast("Any", address))
        self.RequestHandlerClass = Handler
        self.daemon_threads = True
        self.password = password.encode()
        self._started = time.monotonic()

    def info(self) -> bytes:
        """INFO's text: what is true of this process; sections that it has nothing to say about are left out."""
        keys = {f"db{index}": len(database) for index, database in self.fake_server.dbs.items() if len(database)}
        lines = [
            "# Server",
            f"redis_version:{VERSION}",
            "redis_mode:standalone",
            f"process_id:{os.getpid()}",
            f"tcp_port:{self.server_address[1]}",
            f"uptime_in_seconds:{int(time.monotonic() - self._started)}",
            "",
            "# Clients",
            f"connected_clients:{len(self.clients)}",
            "",
            "# Replication",
            "role:master",
            "connected_slaves:0",
            "",
            "# Keyspace",
            *(f"{name}:keys={count},expires=0,avg_ttl=0" for name, count in sorted(keys.items())),
        ]
        return "\r\n".join(lines).encode() + b"\r\n"
