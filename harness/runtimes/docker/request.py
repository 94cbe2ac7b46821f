"""What is asked of the engine for one service: one create request, from what the compose file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from docker.types import EndpointConfig, Healthcheck, Mount, Ulimit
from testcontainers.core.container import DockerContainer

from harness.model import ContainerOptions, Endpoint, Health, ServicePlan

NANO = 1_000_000_000
CONFIG_MODE = 0o444
"""Of an inline config, as Compose has it: every user may read it; who owns its directory may replace it."""


@dataclass(frozen=True)
class Joins:
    """The network that a container is on, and its fixed address there."""

    network: str
    address: str


@dataclass(frozen=True)
class Copied:
    """A file of a container's own, there before its first start."""

    data: bytes
    mode: int = CONFIG_MODE


@dataclass(frozen=True)
class Request:
    """What Testcontainers is asked for; `more` are keyword arguments of docker's client, one create request. `files`
    are copied to their paths in the container before its first start."""

    ports: Mapping[str, tuple[str, int]]
    tmpfs: Mapping[str, str]
    joins: Joins
    endpoint: Mapping[str, Any]
    more: Mapping[str, Any]
    files: Mapping[str, Copied]

    def container(self, service: ServicePlan) -> DockerContainer:
        """A Testcontainers container, not created yet."""
        made = DockerContainer(service.image, env=dict(service.environment)).with_kwargs(**self.more)
        if service.command:
            made.with_command(list(service.command))
        # Typed for a number, handed on to docker's client, which takes an address to publish on as well.
        cast("dict[str, Any]", made.ports).update(self.ports)
        made.tmpfs.update(self.tmpfs)
        for target, file in self.files.items():
            made.with_copy_into_container(file.data, target, file.mode)
        return made


def request_for(
    service: ServicePlan,
    endpoints: Mapping[str, Endpoint],
    numbers: Mapping[str, int],
    mounts: list[Mount],
    joins: Joins,
    labels: Mapping[str, str],
    files: Mapping[str, Copied],
) -> Request:
    """Ports on 127.0.0.1 only, no new privileges, the limits of the compose file, our labels in the create request.

    `numbers` gives each port's number inside the container by name.
    """
    limits = service.limits
    aliases = list(dict.fromkeys([service.name, *service.options.aliases]))
    endpoint = EndpointConfig("1.41", aliases=aliases, ipv4_address=joins.address)
    more: dict[str, Any] = {
        "hostname": service.hostname or service.name,
        "labels": dict(labels),
        "mounts": mounts,
        "security_opt": list(dict.fromkeys([*service.security_opt, "no-new-privileges:true"])),
        "cap_add": list(service.cap_add) or None,
        "cap_drop": list(service.cap_drop) or None,
        "read_only": service.read_only,
        "user": service.user or None,
        "entrypoint": list(service.entrypoint) or None,
        "mem_limit": limits.memory or None,
        "nano_cpus": int(limits.cpus * NANO) or None,
        "pids_limit": limits.pids or None,
        "healthcheck": _healthcheck(service.health),
        "network": joins.network,
        "networking_config": {joins.network: endpoint},
        **_optional(service.options),
    }
    tmpfs = {mount.target: mount.source for mount in service.mounts if mount.kind == "tmpfs"}
    kept = {key: value for key, value in more.items() if value is not None}
    return Request(_published(endpoints, numbers), tmpfs, joins, endpoint, kept, files)


def _optional(options: ContainerOptions) -> dict[str, Any]:
    """Keyword arguments of docker's client; None for what the compose file does not say."""
    return {
        "working_dir": options.working_dir or None,
        "domainname": options.domainname or None,
        "init": options.init or None,
        "shm_size": options.shm_size or None,
        "stop_signal": options.stop_signal or None,
        "sysctls": dict(options.sysctls) or None,
        "extra_hosts": dict(options.extra_hosts) or None,
        "ulimits": [Ulimit(name=name, soft=soft, hard=hard) for name, (soft, hard) in options.ulimits.items()] or None,
        "dns": list(options.dns) or None,
        "dns_search": list(options.dns_search) or None,
        "group_add": list(options.group_add) or None,
    }


def _published(endpoints: Mapping[str, Endpoint], numbers: Mapping[str, int]) -> dict[str, tuple[str, int]]:
    ports: dict[str, tuple[str, int]] = {}
    for name, endpoint in endpoints.items():
        if name in numbers:
            ports[f"{numbers[name]}/tcp"] = (endpoint.host, endpoint.port)
            if endpoint.scheme == "udp":
                ports[f"{numbers[name]}/udp"] = (endpoint.host, endpoint.port)
    return ports


def _healthcheck(health: Health | None) -> Any:
    if health is None:
        return None
    if not health.test:
        return Healthcheck(test=["NONE"])
    return Healthcheck(
        test=list(health.test),
        interval=int(health.interval * NANO),
        timeout=int(health.timeout * NANO),
        retries=health.retries,
        start_period=int(health.start_period * NANO),
    )
