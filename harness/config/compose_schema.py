"""The subset of the Compose specification that the harness reads, as pydantic models of one service entry.

Every key is either given a meaning, or listed in `WITHOUT_EFFECT` with the reason why nothing is done about it;
any other key is an error, never silently dropped; for those in `REFUSED` the error says why.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from harness.config.compose_values import arguments as arguments
from harness.config.compose_values import conditions as conditions
from harness.config.compose_values import duration as duration
from harness.config.compose_values import health_test as health_test
from harness.config.compose_values import hosts, links, ulimits
from harness.config.compose_values import pairs as pairs
from harness.config.compose_values import size as size
from harness.config.compose_values import texts as texts

WITHOUT_EFFECT = {
    "container_name": "the harness names containers by run; on the stack's network the name still reaches the service",
    "restart": "the harness decides what restarts, or failures would heal behind its back",
    "labels": "the harness's own labels are what its clean-up needs",
    "logging": "logs go to the run's report",
    "expose": "every port is reachable on the stack's network",
    "networks": "one network per stack; aliases are kept, and fixed addresses where the file declares their subnet",
    "platform": "the engine's own",
    "pull_policy": "the harness's own setting",
    "build": "images are built beforehand",
    "develop": "nothing is watched",
    "scale": "one of each service",
    "stdin_open": "nobody types",
    "tty": "nobody types",
    "attach": "logs go to the run's report",
    "annotations": "not used",
    "cpu_shares": "a weight among containers, not a limit",
    "mem_reservation": "a wish, not a limit",
    "oom_score_adj": "whom the kernel kills first is the host's own",
    "deprecated": "a note for people",
}

REFUSED = {
    "network_mode": "a stack has a network of its own, and ports on 127.0.0.1 only",
    "privileged": "no container of a test gets all rights of the host; name what it needs under `cap_add`",
    "pid": "the processes of the host are none of a test's business",
    "ipc": "the memory of the host is none of a test's business",
    "devices": "the devices of the host are not handed out",
    "gpus": "the devices of the host are not handed out",
    "runtime": "containers run under the engine's own runtime",
    "volumes_from": "name the volumes under `volumes`",
    "external_links": "what is not in the file is not reachable; use `extra_hosts`",
    "provider": "only images are run",
}
"""Keys that are common and refused on purpose: why, and where there is one, the way around."""

Seconds = Annotated[float, BeforeValidator(duration)]
Bytes = Annotated[int, BeforeValidator(size)]
Arguments = Annotated[tuple[str, ...], BeforeValidator(arguments)]
Hosts = Annotated[dict[str, str], BeforeValidator(hosts)]
Links = Annotated[dict[str, str], BeforeValidator(links)]
Ulimits = Annotated[dict[str, tuple[int, int]], BeforeValidator(ulimits)]
Texts = Annotated[tuple[str, ...], BeforeValidator(texts)]
Pairs = Annotated[dict[str, str | None], BeforeValidator(pairs)]
Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]


def _never(value: Any) -> Any:
    if str(value).lower() in {"true", "1", "yes", "on"}:
        raise ValueError(REFUSED["privileged"])
    return value


def _here(value: Any) -> Any:
    if value:
        raise ValueError("it is kept outside of this file; give it a `file` or `content` in an overlay")
    return value


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
    """An entry of a service's `configs` or `secrets`."""

    source: str
    target: str = ""
    uid: str = ""
    gid: str = ""
    mode: int | str = 0o444


class BindOptions(BaseModel):
    """`bind` of a long volume; how mounts propagate and are labelled is the engine's default."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    create_host_path: bool = False


class TmpfsOptions(Strict):
    """`tmpfs` of a long volume."""

    size: Bytes = 0
    mode: int | str = ""


class VolumeOptions(Strict):
    """`volume` of a long volume."""

    nocopy: bool = False
    labels: Any = None


class VolumeMount(Strict):
    """The long form of a volume."""

    type: Literal["bind", "volume", "tmpfs"]
    target: str
    source: str = ""
    read_only: bool = False
    bind: BindOptions = BindOptions()
    tmpfs: TmpfsOptions = TmpfsOptions()
    volume: VolumeOptions = VolumeOptions()
    consistency: str = ""


class PublishedPort(BaseModel):
    """The long form of a port; where it is published is the harness's own choice."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    target: int
    protocol: str = "tcp"


class HarnessExtension(Strict):
    """`x-harness`: what the harness is told about a service beyond Compose."""

    kind: str = ""
    fidelity: Literal["image", "emulator"] = "image"
    tls: tuple[str, ...] = ()


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
    links: Links = Field(default_factory=dict)
    profiles: list[str] = Field(default_factory=list)
    secrets: list[str | ConfigMount] = Field(default_factory=list)
    user: Annotated[str, BeforeValidator(str)] = ""
    group_add: Texts = ()
    working_dir: str = ""
    hostname: str = ""
    domainname: str = ""
    init: bool = False
    read_only: bool = False
    privileged: Annotated[Literal[False], BeforeValidator(_never)] = False
    cap_add: list[str] = Field(default_factory=list)
    cap_drop: list[str] = Field(default_factory=list)
    security_opt: list[str] = Field(default_factory=list)
    stop_grace_period: Seconds = 10.0
    stop_signal: str = ""
    mem_limit: Bytes = 0
    cpus: float = 0.0
    pids_limit: int = 0
    ulimits: Ulimits = Field(default_factory=dict)
    shm_size: Bytes = 0
    sysctls: Pairs = Field(default_factory=dict)
    extra_hosts: Hosts = Field(default_factory=dict)
    dns: Texts = ()
    dns_search: Texts = ()
    deploy: Deploy = Deploy()
    x_harness: HarnessExtension = Field(default=HarnessExtension(), alias="x-harness")


class Config(Strict):
    """An entry under the top-level `configs` or `secrets`."""

    file: str = ""
    content: str = ""
    environment: str = ""
    name: str = ""
    external: Annotated[Literal[False], BeforeValidator(_here)] = False


TOP_LEVEL = frozenset({"name", "version", "services", "volumes", "networks", "configs", "secrets", "include"})
