"""Frozen data that flows through the harness: what is to run, where it answers, how real it is, what was judged.

Knows nothing of files, sockets or libraries. Seconds are floats, ports ints, paths `pathlib.Path`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class RuntimeName(StrEnum):
    """Where services run."""

    DOCKER = "docker"
    PROCESS = "process"
    EXTERNAL = "external"


class Source(StrEnum):
    """What answers, apart from where it runs. An emulator inside a container is an emulator."""

    IMAGE = "image"
    BINARY = "binary"
    EMULATOR = "emulator"
    LIVE = "live"


UNPROVEN = "unproven against a real server"
"""What every report says of an emulator whose answers have not been compared with those of the server it stands for."""


@dataclass(frozen=True)
class Fidelity:
    """How real a service is: what answers, its version, and the version that the compose file pins.

    `emulator_unproven` is a fact of the kind, whatever answers: its emulator was never compared with a real server.
    """

    source: Source
    version: str = ""
    pin: str = ""
    detail: str = ""
    emulator_unproven: bool = False

    @property
    def verified(self) -> bool:
        """Whether a pass says anything about the real service."""
        return self.source is not Source.EMULATOR

    @property
    def unproven(self) -> bool:
        """Whether an emulator answers that was never compared with a real server."""
        return self.emulator_unproven and not self.verified

    def __str__(self) -> str:
        version = self.version or "version unknown"
        pin = f", pin {self.pin}" if self.pin and self.pin != self.version.partition("+")[0] else ""
        return f"{self.source} ({version}{pin}{', ' + UNPROVEN if self.unproven else ''})"


@dataclass(frozen=True)
class Endpoint:
    """One address of a service as the tests reach it.

    `scheme` is `http`, `https`, `grpc`, `grpcs`, `redis`, `rediss`, `tcp` or `udp`; `authority` is the path of the
    certificates that TLS is verified against, empty for the system's.
    """

    name: str
    host: str
    port: int
    scheme: str = "tcp"
    authority: str = ""

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def encrypted(self) -> bool:
        """Whether clients have to speak TLS."""
        return self.scheme in {"https", "rediss", "grpcs"}

    @property
    def url(self) -> str:
        """`scheme://host:port`, without a path."""
        return f"{self.scheme}://{self.address}"


@dataclass(frozen=True)
class Port:
    """A port that a kind of service listens on inside its container."""

    name: str
    number: int
    scheme: str = "tcp"


@dataclass(frozen=True)
class Health:
    """A compose health check. Times in seconds; `test` as Compose writes it, empty when disabled."""

    test: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    retries: int = 3
    start_period: float = 0.0

    @property
    def needs_shell(self) -> bool:
        """Whether the image must have `/bin/sh`."""
        return bool(self.test) and self.test[0] == "CMD-SHELL"


@dataclass(frozen=True)
class Mount:
    """Something of the host or of the engine seen at `target` inside a container.

    `kind` is `bind` (`source` is a path of the host), `volume` (`source` is a volume's name), `tmpfs`
    (no source) or `content` (`source` is the text of an inline config).
    """

    kind: str
    target: str
    source: str = ""
    read_only: bool = False


@dataclass(frozen=True)
class Limits:
    """Resource limits of a container. Memory in bytes, zero for none."""

    memory: int = 0
    cpus: float = 0.0
    pids: int = 0


@dataclass(frozen=True)
class ContainerOptions:
    """What only a container can be given; a local process goes without. `aliases` are further names by which others of
    the stack reach it, `address` the fixed one that the file asks for, with its network's prefix (`172.28.0.10/16`)."""

    working_dir: str = ""
    domainname: str = ""
    init: bool = False
    shm_size: int = 0
    stop_signal: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    address: str = ""


@dataclass(frozen=True)
class ServicePlan:
    """One service as it is to be run, read from the compose file and bound to a kind (None when unknown).

    `image` is what runs, `pinned` what the first compose file names; `stand_in` says that the image holds an emulator;
    `one_shot` that others wait for its end with exit code 0; `tls` names the ports that speak TLS.
    """

    name: str
    image: str
    kind: str | None
    pinned: str = ""
    tls: tuple[str, ...] = ()
    stand_in: bool = False
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Port, ...] = ()
    health: Health | None = None
    depends_on: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    limits: Limits = Limits()
    stop_grace: float = 10.0
    hostname: str = ""
    options: ContainerOptions = ContainerOptions()
    one_shot: bool = False
    origin: str = ""

    @property
    def pin(self) -> str:
        """The tag that the first compose file pins, without a digest: what should run."""
        name, _, _digest = (self.pinned or self.image).partition("@")
        _, colon, tag = name.rpartition(":")
        return tag if colon and "/" not in tag else ""


@dataclass(frozen=True)
class LinkPlan:
    """One edge of the stack that goes through a fault proxy: from our clients (no `sources`) or from services to
    `port` (the kind's name for it) of `target`."""

    name: str
    target: str
    port: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class StackPlan:
    """All services in waves: everything in a wave may start at once, and needs only earlier waves.

    `images` says, for the docker runtime, where each image may come from, best place first.
    """

    project: str
    services: Mapping[str, ServicePlan]
    waves: tuple[tuple[str, ...], ...]
    runtime: RuntimeName
    fidelity: Mapping[str, Fidelity]
    ready_timeout: float = 60.0
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    links: tuple[LinkPlan, ...] = ()

    @property
    def emulated(self) -> tuple[str, ...]:
        """The services that an emulator stands in for."""
        return tuple(name for name, fidelity in self.fidelity.items() if not fidelity.verified)

    @property
    def unproven(self) -> tuple[str, ...]:
        """Those of them whose emulator was never compared with a real server."""
        return tuple(name for name, fidelity in self.fidelity.items() if fidelity.unproven)


class State(StrEnum):
    """What a service is doing, as its owner sees it."""

    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    BLOCKED = "blocked"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ServiceStatus:
    """What the keeper tells of one service. `cause` says why it is not ready; `ready_after` is in seconds; `can` are
    capabilities (of harness.ports) beyond those of every managed handle; `inside`: endpoints as other services see."""

    name: str
    kind: str | None
    state: State
    fidelity: Fidelity
    endpoints: Mapping[str, Endpoint]
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    ready_after: float = 0.0
    cause: str = ""
    log: Path = Path()
    can: tuple[str, ...] = ()
    inside: Mapping[str, Endpoint] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """How full something of a service is, or how it is, by the service's own account. Zero for no limit."""

    name: str
    value: float | str
    limit: float = 0.0

    @property
    def share(self) -> float:
        """The part of the limit that is used, 0 to 1; 0 without a limit."""
        return float(self.value) / self.limit if self.limit and not isinstance(self.value, str) else 0.0


class Outcome(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    BLOCKED = "blocked"


class Verdict(StrEnum):
    """What a run, a layer or an experiment comes to. Unknown never passes."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"
