"""The docker runtime: one network per stack, one container per service, everything labelled and removed by label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from docker.types import Mount as DockerMount
from requests import RequestException

from harness.errors import PlanError, RuntimeUnavailable
from harness.identity import Identity
from harness.model import Endpoint, Mount, ServicePlan, StackPlan
from harness.ports import Spawner
from harness.runtimes.docker import network, packets
from harness.runtimes.docker.addresses import FixedAddresses, assign, subnet_asked
from harness.runtimes.docker.container import ContainerInstance
from harness.runtimes.docker.engine import engine_address, make_client, reason, tame_testcontainers
from harness.runtimes.docker.labels import Owner
from harness.runtimes.docker.lease import Lease
from harness.runtimes.docker.packets import LossyContainer
from harness.runtimes.docker.request import Joins, request_for
from harness.runtimes.docker.sweep import remove_run, sweep
from harness.services import kind_named


class DockerRuntime:
    """Runs one stack's services as containers. `directory` is the run's own, its name the run's id."""

    def __init__(self, directory: Path, spawner: Spawner) -> None:
        del spawner  # containers are the engine's children, not ours
        self.directory = directory
        self.owner = Owner(directory.name, Identity.mine())
        self.callback_host = ""
        self._network = f"ih-{self.owner.run}"
        self._instances: list[ContainerInstance] = []
        self._lease = Lease(self.owner)
        self._client: Any = None
        self._addresses = FixedAddresses({}, {}, "")

    def prepare(self, plan: StackPlan) -> None:
        """Sweep what dead runs left, take a lease, make the network. Raises RuntimeUnavailable, and PlanError for
        fixed addresses that cannot be had."""
        wanted = subnet_asked(plan.services)
        tame_testcontainers()
        self._client = make_client()
        try:
            sweep(self._client)
            self._lease.start()
            made = network.create(self._client, self._network, self.owner.labels(), wanted)
            self._addresses = assign(plan.services, network.gateway(made))
            self.callback_host = self._addresses.host
        except (DockerException, RequestException) as error:
            raise RuntimeUnavailable(f"docker engine: {reason(error)}", "see `harness doctor`") from error

    def create(
        self, service: ServicePlan, addresses: Mapping[str, Mapping[str, Endpoint]], log: Path
    ) -> ContainerInstance:
        """The service's container, not made yet. Raises PlanError for a file that cannot be written."""
        kind = kind_named(service.kind) if service.kind else None
        told = self._addresses.told(service, addresses)
        copied = {mount for mount in told.mounts if _is_copied(told, mount)}
        request = request_for(
            told,
            addresses[service.name],
            {port.name: port.number for port in (kind.ports if kind else service.ports)},
            [self._mount(told, mount) for mount in told.mounts if mount.kind != "tmpfs" and mount not in copied],
            Joins(self._network, self._addresses.by_service[service.name]),
            self.owner.labels(service=service.name),
            {mount.target: mount.source for mount in copied},
        )
        made = LossyContainer if packets.possible(engine_address()) else ContainerInstance
        instance = made(told, request, log)
        self._instances.append(instance)
        return instance

    def inside(self, service: ServicePlan, endpoints: Mapping[str, Endpoint]) -> Mapping[str, Endpoint]:
        """By their fixed addresses and the ports inside the containers."""
        return self._addresses.inside(service, endpoints)

    def _mount(self, service: ServicePlan, mount: Mount) -> DockerMount:
        if mount.kind == "bind":
            return DockerMount(mount.target, mount.source, type="bind", read_only=mount.read_only)
        if mount.kind == "content":
            return DockerMount(mount.target, str(self._written(service, mount)), type="bind", read_only=True)
        name = f"{self._network}-{mount.source}"
        self._client.volumes.create(name, labels=self.owner.labels())
        return DockerMount(mount.target, name, type="volume", read_only=mount.read_only)

    def _written(self, service: ServicePlan, mount: Mount) -> Path:
        """An inline config as a file of the host. Readable by the container's user, which is not ours; on this host
        only we can enter the directory above it."""
        directory = self.directory / "files" / service.name
        file = directory / mount.target.strip("/").replace("/", "_")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            file.write_text(mount.source, encoding="utf-8")
            file.chmod(0o644)
        except OSError as error:
            raise PlanError(f"{file}: {error.strerror}", "choose another directory with --state") from error
        return file

    def close(self) -> list[str]:
        """Remove every container, network and volume of the run. Returns what is left."""
        self._lease.stop()
        for instance in self._instances:
            instance.close()
        if self._client is None:
            return []
        try:
            return remove_run(self._client, self.owner.run)
        except (DockerException, RequestException) as error:
            return [f"what run {self.owner.run} has on the engine: {reason(error)}"]
        finally:
            self._client.close()


def _is_copied(service: ServicePlan, mount: Mount) -> bool:
    """Whether an inline config becomes a file of the container's own, as Compose has it: servers that rewrite their
    files can. It has to be mounted where nothing can be copied to, or would not be seen."""
    hidden = any(other.kind == "tmpfs" and _is_below(mount.target, other.target) for other in service.mounts)
    return mount.kind == "content" and not service.read_only and not hidden


def _is_below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/")
