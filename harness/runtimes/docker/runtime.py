"""The docker runtime: one network per stack, one container per service, everything labelled and removed by label."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
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
from harness.runtimes.docker.carried import copies, hidden_by_tmpfs, refuse_uncarried
from harness.runtimes.docker.container import ContainerInstance
from harness.runtimes.docker.distance import Distance
from harness.runtimes.docker.engine import engine_address, make_client, reason, tame_testcontainers
from harness.runtimes.docker.forwarded import ForwardedContainer
from harness.runtimes.docker.labels import Owner
from harness.runtimes.docker.lease import Lease
from harness.runtimes.docker.packets import LossyContainer
from harness.runtimes.docker.request import Copied, Joins, Request, request_for
from harness.runtimes.docker.sweep import remove_run, sweep
from harness.services import kind_named


class DockerRuntime:
    """Runs one stack's services as containers. `directory` is the run's own, its name the run's id."""

    def __init__(self, directory: Path, spawner: Spawner) -> None:
        self._distance = Distance(spawner)  # containers are the engine's children; a connection to it would be ours
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
        fixed addresses, and mounts on another machine, that cannot be had."""
        wanted = subnet_asked(plan.services)
        tame_testcontainers()
        self._distance.open()
        if self._distance.tunnel:
            refuse_uncarried(plan.services)
        self._client = make_client()
        try:
            sweep(self._client)
            self._lease.start()
            routes = self._distance.routes()
            made = network.create(self._client, self._network, self.owner.labels(), wanted, routes)
            self._addresses = assign(plan.services, network.gateway(made))
            self.callback_host = self._distance.callback_host(self._addresses.host)
        except (DockerException, RequestException) as error:
            raise RuntimeUnavailable(f"docker engine: {reason(error)}", "see `harness doctor`") from error

    def create(
        self, service: ServicePlan, addresses: Mapping[str, Mapping[str, Endpoint]], log: Path
    ) -> ContainerInstance:
        """The service's container, not made yet. Raises PlanError for a file that cannot be written."""
        kind = kind_named(service.kind) if service.kind else None
        told = self._addresses.told(service, addresses)
        copied = {mount: copy for mount in told.mounts if (copy := self._copies(told, mount)) is not None}
        request = request_for(
            told,
            addresses[service.name],
            {port.name: port.number for port in (kind.ports if kind else service.ports)},
            [made for mount in told.mounts if (made := self._mount(told, mount, copied.get(mount))) is not None],
            Joins(self._network, self._addresses.by_service[service.name]),
            self.owner.labels(service=service.name),
            {target: file for files in copied.values() for target, file in files.items()},
        )
        instance = self._instance(told, request, log)
        self._instances.append(instance)
        return instance

    def _instance(self, service: ServicePlan, request: Request, log: Path) -> ContainerInstance:
        if self._distance.tunnel:
            return ForwardedContainer(service, request, log, self._distance.tunnel)
        made = LossyContainer if packets.possible(engine_address()) else ContainerInstance
        return made(service, request, log)

    def _copies(self, service: ServicePlan, mount: Mount) -> dict[str, Copied] | None:
        """What of a mount is copied into the container; None when nothing is."""
        if mount.kind == "bind" and self._distance.tunnel:
            return copies(service, mount)
        if mount.kind == "content" and not service.read_only and not hidden_by_tmpfs(service, mount):
            return {mount.target: Copied(mount.source.encode())}  # of its own, as Compose has it: it may be rewritten
        return None

    @property
    def elsewhere(self) -> str:
        """The engine's address when it is on another machine."""
        return str(self._distance.tunnel.address) if self._distance.tunnel else ""

    def lost(self) -> str:
        """Why no service is reached any more; empty while they are."""
        return self._distance.lost()

    def taken(self) -> frozenset[int]:
        """The numbers that somebody listens at on another machine; none on this one, where leases hold them."""
        return self._distance.taken()

    def called_at(self, port: int) -> tuple[str, int]:
        """Host and port by which services reach a receiver of ours that listens on `callback_host` at this port."""
        return self._distance.called_at(port)

    def called_no_more(self, port: int) -> None:
        """The receiver is gone."""
        self._distance.called_no_more(port)

    def inside(self, service: ServicePlan, endpoints: Mapping[str, Endpoint]) -> Mapping[str, Endpoint]:
        """By their fixed addresses and the ports inside the containers."""
        return self._addresses.inside(service, endpoints)

    def _mount(self, service: ServicePlan, mount: Mount, copied: dict[str, Copied] | None) -> DockerMount | None:
        """What is mounted; None for what the container has otherwise. A directory that was copied lies in a volume."""
        if mount.kind == "tmpfs" or (copied is not None and not (mount.kind == "bind" and Path(mount.source).is_dir())):
            return None
        if copied is not None:
            name = f"{self._network}-{service.name}-{sha256(mount.target.encode()).hexdigest()[:8]}"
            self._client.volumes.create(name, labels=self.owner.labels())
            return DockerMount(mount.target, name, type="volume", no_copy=True)
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
        try:
            return self._remove() if self._client else []
        except (DockerException, RequestException) as error:
            return [f"what run {self.owner.run} has on the engine: {reason(error)}"]
        except RuntimeUnavailable as error:
            return [f"what run {self.owner.run} has there, until the next run with that engine: {error.message}"]
        finally:
            self._distance.close()

    def _remove(self) -> list[str]:
        """By a new connection when the old one was lost: it may be to be had again."""
        try:
            if self._distance.again():
                self._client.close()
                self._client = make_client()
            return remove_run(self._client, self.owner.run)
        finally:
            self._client.close()
