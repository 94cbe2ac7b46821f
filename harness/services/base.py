"""What the harness knows of a kind of service: its ports, how to start it, how to tell that it works, its client.

One subclass of `Kind` per file of this folder, and one line in `SERVICES`. Client libraries are imported inside the
methods that use them, so that knowing a service costs nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from harness.credentials import Secret
from harness.errors import PlanError
from harness.model import Endpoint, Port, Reading, ServicePlan
from harness.ports import Handle

ENCRYPTED = {"http": "https", "redis": "rediss", "grpc": "grpcs"}
"""What a scheme is called over TLS; those that are not here have no such form."""
AUTHORITY = "/etc/tls/ca.pem"
"""Where a service that speaks TLS has the authority that its certificate is of."""
HEADER = "header:"
"""What the name of a credential begins with that goes into an HTTP header: `header:X-Api-Key`."""


@dataclass(frozen=True)
class ImageFacts:
    """What the official image's Dockerfile says: the `user` its process ends up as, and what this user may write."""

    user: str
    has_shell: bool
    writable: tuple[str, ...]
    entrypoint: tuple[str, ...]
    licence: str
    source: str


@dataclass(frozen=True)
class Binary:
    """A real server on this machine."""

    path: Path
    version: str


@dataclass(frozen=True)
class Place:
    """Where a process of a service is to run: its directory, its leased addresses, and where container paths are."""

    service: ServicePlan
    data: Path
    endpoints: Mapping[str, Endpoint]
    host_path: Callable[[str], str]
    binary: Binary | None

    def port(self, name: str) -> str:
        """A leased port number as text."""
        return str(self.endpoints[name].port)


@dataclass(frozen=True)
class Launch:
    """The arguments after the program's name, environment variables to add, and what is fed to standard input."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: str = field(default="", repr=False)


class Kind(ABC):
    """A kind of service. Instances hold no state; everything they answer follows from their arguments."""

    name: ClassVar[str]
    images: ClassVar[tuple[str, ...]]
    programs: ClassVar[tuple[str, ...]]
    ports: ClassVar[tuple[Port, ...]]
    process_ports: ClassVar[tuple[Port, ...]] = ()
    """Ports that a local process opens beside those that are published by a container."""
    facts: ClassVar[ImageFacts]
    members_by_address: ClassVar[bool] = False
    """Whether the members of a cluster are to know each other by address: a container's name is gone while it is
    stopped, and its address is not."""
    secret_variables: ClassVar[tuple[str, ...]] = ()
    """Variables of the compose file that get a random value per run, when the user has not set them."""
    options: ClassVar[tuple[str, ...]] = ()
    """What a target file may say of such a service beside addresses and credentials."""
    fixture: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ()
    """What `ready` imports when it is first called: whoever measures it imports them before."""
    emulator_tls: ClassVar[bool] = False
    """Whether the emulator speaks TLS where the compose file has the service speak it."""
    emulator_libraries: ClassVar[tuple[str, ...]] = ()
    """Modules of optional dependencies that the emulator cannot do without."""
    emulator_unproven: ClassVar[bool] = False
    """Whether the emulator's answers were never compared with those of a real server. Every report says so."""

    # -- what is here -----------------------------------------------------------------------------------------

    def find_binary(self, configured: str = "") -> Binary | None:
        """A real server: the configured one, else the first of `programs` on PATH.

        Raises PlanError when a configured one cannot be run.
        """
        if configured:
            path = shutil.which(configured)
            if not path:
                raise PlanError(f"{self.name}: configured binary {configured!r}: no such program", "see --binaries")
            return Binary(Path(path), self.binary_version(Path(path)))
        found = next(filter(None, map(shutil.which, self.programs)), None)
        return Binary(Path(found), self.binary_version(Path(found))) if found else None

    def binary_version(self, path: Path) -> str:
        """The version a program tells of itself; empty when it does not."""
        try:
            done = subprocess.run(
                [str(path), *self.version_arguments], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return self.read_version(done.stdout or done.stderr)

    version_arguments: ClassVar[tuple[str, ...]] = ("--version",)

    @abstractmethod
    def read_version(self, printed: str) -> str:
        """The version number in what the program printed for `version_arguments`."""

    @property
    def emulator(self) -> tuple[str, ...]:
        """The command that stands in for the program, taking the program's own arguments."""
        return (sys.executable, "-m", f"harness.emulators.{self.name}")

    # -- how it is started and reached ----------------------------------------------------------------------------

    @abstractmethod
    def launch(self, place: Place) -> Launch:
        """How the program (or its emulator) is started on leased addresses, from what the compose file says.

        Raises PlanError for a `command` that it cannot carry over; nothing is silently dropped.
        """

    def announcing(self, service: ServicePlan, address: str) -> tuple[str, ...]:
        """Arguments that make a container tell the other members of its cluster this address of its own, which they do
        not see when it comes to them through a link. Empty for a kind that tells it anyway."""
        del service, address
        return ()

    def credentials(self, service: ServicePlan) -> dict[str, Secret]:
        """What a client needs to log in, read from the service's environment. Empty when it needs nothing."""
        del service
        return {}

    def authorization(self, handle: Handle) -> dict[str, str]:
        """The HTTP headers that log a client in: a bearer `token`, and headers that a gateway in front may want."""
        found = {name.removeprefix(HEADER): secret.reveal() for name, secret in handle.credentials.items()
                 if name.startswith(HEADER)}  # fmt: skip
        if token := handle.credentials.get("token"):
            found["Authorization"] = f"Bearer {token.reveal()}"
        return found

    # -- how it is judged and used -----------------------------------------------------------------------------------

    @abstractmethod
    def ready(self, handle: Handle) -> str:
        """Ask with a real write and read whether it works, and return the version it tells of itself.

        Raises NotYet or OSError while it does not.
        """

    def saturation(self, handle: Handle) -> tuple[Reading, ...]:
        """What runs out before it fails, by its own account. Empty for a kind that tells nothing; raises as `ready`."""
        del handle
        return ()

    @abstractmethod
    def client(self, handle: Handle) -> Any:
        """A client with explicit time-outs, no hidden retries and nothing taken from the environment."""

    def close_client(self, client: Any) -> None:
        """Give back what a client holds."""
        close = getattr(client, "close", None)
        if callable(close):
            close()

    @abstractmethod
    def open_namespace(self, handle: Handle, name: str) -> Any:
        """Make a corner of its own for one test, and return what the test needs to work in it."""

    @abstractmethod
    def close_namespace(self, handle: Handle, name: str) -> None:
        """Remove that corner and everything in it. Harmless when it is already gone."""


@runtime_checkable
class LimitsMemory(Protocol):
    """A kind whose memory limit can be changed while it runs."""

    def limit_memory(self, handle: Handle, share: float) -> int:
        """Lower the limit to so much of what is used now. Returns the limit it had, in bytes."""
        ...

    def restore_memory(self, handle: Handle, limit: int) -> None:
        """Set the limit that it had."""
        ...


def basic(user: str, password: str) -> str:
    """The value of an `Authorization` header for HTTP basic authentication."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def user_of(handle: Handle, usual: str = "root") -> str:
    """Whose `password` a handle has: its `username`, else the `usual` one."""
    name = handle.credentials.get("username")
    return name.reveal() if name else usual


def environment_for(place: Place, added: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child: a little of ours, what the compose file says, and what the kind adds.

    Our own environment is not handed on: proxies, credentials and `HARNESS_*` have no business in a service.
    """
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "PYTHONPATH") if name in os.environ
    }
    measured = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "EMULATOR_RECORD"))}
    return {**kept, **measured, **place.service.environment, **added}


def take_flags(kind: str, service: ServicePlan, known: Mapping[str, int]) -> list[str]:
    """The words of a compose `command` that are the kind's own flags; `known` gives how many values each takes.

    Raises PlanError naming the first word that is not: on the process runtime nothing is silently dropped.
    """
    kept: list[str] = []
    words = iter(service.command)
    for word in words:
        name = word.partition("=")[0]
        if name not in known:
            expected = ", ".join(sorted(known)) or "no arguments"
            raise PlanError(
                f"{service.origin}: service {service.name}: command: {word!r} cannot be carried over to a local "
                f"{kind} process; expected {expected}",
                "use the docker runtime, or move the setting into the configuration file",
            )
        kept.append(word)
        kept.extend(next(words, "") for _ in range(0 if "=" in word else known[name]))
    return kept


def without(words: list[str], flags: tuple[str, ...]) -> list[str]:
    """The words without these flags and their values, in both spellings (`-bind=A`, `-bind A`)."""
    kept, rest = [], iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if name not in flags:
            kept.append(word)
        elif not equals:
            next(rest, None)
    return kept
