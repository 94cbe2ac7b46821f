"""The address of an engine over ssh: `ssh://[USER@]HOST[:PORT][/PATH/OF/ITS.sock]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from harness.credentials import without_password
from harness.errors import RuntimeUnavailable

SCHEME = "ssh"
SOCKET = "/var/run/docker.sock"
EXPECTED = "expected ssh://[USER@]HOST[:PORT][/PATH/OF/ITS.sock]"
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@\\+-]*")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")
_PATH = re.compile(r"/[^\s:\\\"'%$]+")
"""Without what ssh itself would read something into: colons separate, and `%` and `$` are expanded."""


def is_ssh(address: str) -> bool:
    """Whether an engine's address is one over ssh."""
    return address.lower().startswith(f"{SCHEME}:")


@dataclass(frozen=True)
class SshAddress:
    """Whom to log in as, where, and the engine's socket there. An empty user, and port 0, are ssh's own choice."""

    host: str
    user: str = ""
    port: int = 0
    socket: str = SOCKET

    @classmethod
    def parse(cls, text: str) -> SshAddress:
        """Raises RuntimeUnavailable for an address that cannot be used; a password in it is not repeated."""
        try:
            parts = urlsplit(text)
            port = parts.port or 0
        except ValueError as error:
            raise _refused(text, f"{error}: {EXPECTED}") from None
        if parts.password is not None:
            raise _refused(text, "a password in the address: expected none, for passwords are not used")
        if problem := _problem(parts):
            raise _refused(text, f"{problem}: {EXPECTED}")
        path = parts.path if parts.path.strip("/") else SOCKET
        return cls(_as_written(parts), parts.username or "", port, path)

    @property
    def destination(self) -> str:
        """As ssh has it."""
        return f"{self.user}@{self.host}" if self.user else self.host

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user, port = f"{self.user}@" if self.user else "", f":{self.port}" if self.port else ""
        return f"{SCHEME}://{user}{host}{port}{'' if self.socket == SOCKET else self.socket}"


def _as_written(parts: SplitResult) -> str:
    """The host with its capitals: names in a configuration of ssh may have some."""
    host = parts.hostname or ""
    begins = parts.netloc.lower().rindex(host)
    return parts.netloc[begins : begins + len(host)]


def _problem(parts: SplitResult) -> str:
    """What is wrong with the pieces of an address; empty when nothing is."""
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        return "no host" if not parts.hostname else f"no host could be called {parts.hostname!r}"
    if "@" in parts.netloc and not _USER.fullmatch(parts.username or ""):
        return f"no user could be called {parts.username!r}"
    if parts.query or parts.fragment:
        return f"{parts.query or parts.fragment!r} behind the path"
    if parts.path.strip("/") and not _PATH.fullmatch(parts.path):
        return f"no socket could be called {parts.path!r}"
    return ""


def _refused(text: str, why: str) -> RuntimeUnavailable:
    return RuntimeUnavailable(f"docker engine at {without_password(text)}: {why}", "mend DOCKER_HOST or --engines")
