"""The subset of the Compose specification that the harness reads, as pydantic models of one service entry.

Every key is either given a meaning, or listed in `WITHOUT_EFFECT` with the reason why nothing is done about it;
any other key is an error, never silently dropped.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

WITHOUT_EFFECT = {
    "container_name": "the harness names containers by run, so that two runs do not collide",
    "restart": "the harness decides what restarts, or failures would heal behind its back",
    "labels": "the harness's own labels are what its clean-up needs",
    "logging": "logs go to the run's report",
    "expose": "every port is reachable on the stack's network",
    "networks": "one network per stack",
    "profiles": "all services of a file belong to its stack",
    "platform": "the engine's own",
    "pull_policy": "the harness's own setting",
    "build": "images are built beforehand",
    "stdin_open": "nobody types",
    "tty": "nobody types",
    "attach": "logs go to the run's report",
    "annotations": "not used",
    "secrets": "mounted by docker compose itself",
}

_UNITS = {"": 1, "b": 1, "k": 1024, "kb": 1024, "m": 1024**2, "mb": 1024**2, "g": 1024**3, "gb": 1024**3}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
_FACTORS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(value: Any) -> float:
    """`1m30s`, `500ms`, or a number of seconds, in seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = str(value)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"expected a duration such as 10s or 1m30s, found {text!r}")
    return sum(float(number) * _FACTORS[unit] for number, unit in parts)


def size(value: Any) -> int:
    """`64m`, `1gb`, or a number of bytes, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", str(value).strip())
    if not match or match.group(2).lower() not in _UNITS:
        raise ValueError(f"expected a size such as 64m or 1gb, found {value!r}")
    return int(float(match.group(1)) * _UNITS[match.group(2).lower()])


def arguments(value: Any) -> tuple[str, ...]:
    """A command as a list, or as one string in shell quoting."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(shlex.split(value))
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    raise ValueError(f"expected a list or a string, found {type(value).__name__}")


def pairs(value: Any) -> dict[str, str | None]:
    """`{A: b}` or `[A=b, C]`; None for a name without a value."""
    if isinstance(value, list):
        split = [str(item).partition("=") for item in value]
        return {name: text if equals else None for name, equals, text in split}
    if isinstance(value, dict):
        return {str(name): _scalar(name, item) for name, item in value.items()}
    raise ValueError(f"expected a mapping or a list of NAME=value, found {type(value).__name__}")


def _scalar(name: Any, value: Any) -> str | None:
    if isinstance(value, (dict, list)):
        # pydantic turns a ValueError into its own error, and lets a TypeError through
        raise ValueError(f"{name}: expected a single value, found {type(value).__name__}")  # noqa: TRY004
    if isinstance(value, bool):
        raise ValueError(f"{name}: expected a string, found a bare {str(value).lower()}; put it in quotes")  # noqa: TRY004
    return None if value is None else str(value)


def conditions(value: Any) -> dict[str, str]:
    """`depends_on` in both forms: service name to condition."""
    if isinstance(value, list):
        return {str(name): "service_started" for name in value}
    if isinstance(value, dict):
        return {str(name): _condition(str(name), entry) for name, entry in value.items()}
    raise ValueError(f"expected a list or a mapping of services, found {type(value).__name__}")


def _condition(name: str, entry: Any) -> str:
    if not isinstance(entry, dict) or set(entry) - {"condition", "restart"}:
        raise ValueError(f"{name}: expected a mapping with `condition`, found {entry!r}")
    return str(entry.get("condition", "service_started"))


def health_test(value: Any) -> tuple[str, ...]:
    """`[CMD, ...]`, `[CMD-SHELL, text]`, `[NONE]`, or a string for the shell."""
    if isinstance(value, str):
        return ("CMD-SHELL", value)
    if isinstance(value, list) and value and value[0] in {"CMD", "CMD-SHELL", "NONE"}:
        return tuple(str(item) for item in value)
    raise ValueError("expected a string, or a list that begins with CMD, CMD-SHELL or NONE")


Seconds = Annotated[float, BeforeValidator(duration)]
Bytes = Annotated[int, BeforeValidator(size)]
Arguments = Annotated[tuple[str, ...], BeforeValidator(arguments)]
Pairs = Annotated[dict[str, str | None], BeforeValidator(pairs)]
Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]


class Strict(BaseModel):
    """A mapping in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HealthCheck(Strict):
    """`healthcheck`."""

    test: Annotated[tuple[str, ...], BeforeValidator(health_test)] = ()
    interval: Seconds = 30.0
    timeout: Seconds = 30.0
    retries: int = 3
    start_period: Seconds = 0.0
    start_interval: Seconds = 5.0
    disable: bool = False


class EnvFile(Strict):
    """The long form of an entry of `env_file`."""

    path: str
    required: bool = True


class ConfigMount(Strict):
    """An entry of a service's `configs`."""

    source: str
    target: str = ""
    uid: str = ""
    gid: str = ""
    mode: int | str = 0o444


class VolumeMount(BaseModel):
    """The long form of a volume; options beyond these are left to docker compose."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    type: Literal["bind", "volume", "tmpfs"]
    target: str
    source: str = ""
    read_only: bool = False


class PublishedPort(BaseModel):
    """The long form of a port; where it is published is the harness's own choice."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    target: int
    protocol: str = "tcp"


class HarnessExtension(Strict):
    """`x-harness`: what the harness is told about a service beyond Compose."""

    kind: str = ""
    fidelity: Literal["image", "emulator"] = "image"


class ResourceLimits(BaseModel):
    """`deploy.resources.limits`."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    cpus: float = 0.0
    memory: Bytes = 0
    pids: int = 0


class Resources(BaseModel):
    """`deploy.resources`."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    limits: ResourceLimits = ResourceLimits()


class Deploy(BaseModel):
    """`deploy`: only the limits apply to a single engine."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    resources: Resources = Resources()


class Service(Strict):
    """One entry under `services`."""

    image: str = ""
    command: Arguments = ()
    entrypoint: Arguments = ()
    environment: Pairs = Field(default_factory=dict)
    env_file: str | list[str | EnvFile] = Field(default_factory=list)
    ports: list[str | int | PublishedPort] = Field(default_factory=list)
    volumes: list[str | VolumeMount] = Field(default_factory=list)
    configs: list[str | ConfigMount] = Field(default_factory=list)
    tmpfs: str | list[str] = Field(default_factory=list)
    healthcheck: HealthCheck | None = None
    depends_on: Annotated[dict[str, Condition], BeforeValidator(conditions)] = Field(default_factory=dict)
    user: Annotated[str, BeforeValidator(str)] = ""
    working_dir: str = ""
    hostname: str = ""
    init: bool = False
    read_only: bool = False
    privileged: Literal[False] = False
    cap_add: list[str] = Field(default_factory=list)
    cap_drop: list[str] = Field(default_factory=list)
    security_opt: list[str] = Field(default_factory=list)
    stop_grace_period: Seconds = 10.0
    stop_signal: str = "SIGTERM"
    mem_limit: Bytes = 0
    cpus: float = 0.0
    pids_limit: int = 0
    ulimits: dict[str, int | dict[str, int]] = Field(default_factory=dict)
    shm_size: Bytes = 0
    sysctls: Pairs = Field(default_factory=dict)
    extra_hosts: Pairs = Field(default_factory=dict)
    deploy: Deploy = Deploy()
    x_harness: HarnessExtension = Field(default=HarnessExtension(), alias="x-harness")


class Config(Strict):
    """An entry under the top-level `configs`."""

    file: str = ""
    content: str = ""
    name: str = ""


TOP_LEVEL = frozenset({"name", "version", "services", "volumes", "networks", "configs", "secrets"})
