"""One service as a container: what is asked of the engine, and what can be done to it afterwards."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from docker.errors import DockerException, ImageNotFound, NotFound
from docker.types import EndpointConfig, Healthcheck, Mount, Ulimit
from requests import RequestException
from testcontainers.core.container import DockerContainer

from harness.errors import PortError, ServiceError
from harness.model import ContainerOptions, Endpoint, Health, ServicePlan
from harness.runtimes.docker.engine import reason
from harness.runtimes.docker.images import name_on_engine
from harness.runtimes.docker.logs import LogPump

NANO = 1_000_000_000


class ContainerInstance:
    """A container of one service. `launch` creates it the first time and starts the same one again afterwards."""

    def __init__(self, service: ServicePlan, request: Request, log: Path) -> None:
        self.service, self._request = service, request
        self._container: Any = None
        self.client: Any = None
        self._address = ""
        self._pump = LogPump(log)
        self._lock = threading.RLock()

    # -- what it is doing ---------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The container's id; empty before the first launch."""
        return str(self._container.id) if self._container else ""

    @property
    def alive(self) -> bool:
        """Whether its process runs; a paused one does."""
        return bool(self._state().get("Running"))

    def exit_report(self) -> str:
        """How it ended, in words; empty while it lives or before it was launched."""
        state = self._state()
        if not state or state.get("Running") or state.get("Status") in {"created", "restarting"}:
            return ""
        self._pump.settle()
        if state.get("OOMKilled"):
            return f"killed by the kernel: out of memory (limit {self.service.limits.memory or 'of the host'} bytes)"
        code = int(state.get("ExitCode", -1))
        text = f"exited with code {code}" if code < 128 else f"ended by signal {code - 128} (exit code {code})"
        return f"{text}: {state['Error']}" if state.get("Error") else text

    def healthy(self) -> bool | None:
        """The engine's answer of the compose file's or the image's health check; None when there is none."""
        health = self._state().get("Health")
        return None if not health or health["Status"] == "none" else bool(health["Status"] == "healthy")

    def _state(self) -> dict[str, Any]:
        if self._container is None:
            return {}
        try:
            self._container.reload()
        except NotFound:
            return {"Status": "removed", "ExitCode": -1, "Error": "somebody removed the container"}
        except (DockerException, RequestException) as error:
            raise ServiceError(f"{self.service.name}: the engine does not say how it is: {reason(error)}") from error
        state: dict[str, Any] = self._container.attrs["State"]
        return state

    # -- what can be done to it ---------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start it. Raises PortError when its port is taken, ServiceError for everything else."""
        with self._lock:
            try:
                if self._container is None:
                    self._create()
                else:
                    self._container.start()
                self._pump.follow(self._container)
            except (DockerException, RequestException) as error:
                raise explain(self.service, error) from error

    def _create(self) -> None:
        made = self._request.container(self.service)
        self._end_client()  # of a try before
        self.client = made.get_docker_client().client
        made.image = name_on_engine(self.client, made.image)
        if not made.image:  # Testcontainers would pull it, whatever the policy says
            raise ImageNotFound(f"No such image: {self.service.image}")
        try:
            made.start()
        finally:
            self._container = made._container  # a container that was created and did not start is still ours

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        with self._lock:
            self._tell("kill", lambda: self._container.kill("SIGKILL"))
            self._wait_stopped()

    def stop(self, grace: float) -> None:
        """SIGTERM, SIGKILL after the grace (whole seconds), and wait until it is gone."""
        with self._lock:
            self.resume()
            self._tell("stop", lambda: self._container.stop(timeout=round(grace)))
            self._wait_stopped()

    def pause(self) -> None:
        """Freeze every process in it by the cgroup freezer."""
        with self._lock:
            if self._state().get("Running") and not self._state().get("Paused"):
                self._tell("pause", lambda: self._container.pause())

    def resume(self) -> None:
        """Undo `pause`."""
        with self._lock:
            if self._state().get("Paused"):
                self._tell("unpause", lambda: self._container.unpause())

    def isolate(self) -> None:
        """Take it off the stack's network: nobody reaches it, it reaches nobody."""
        with self._lock:
            if self._on_network():
                self._address = self._joined().get("IPAddress") or self._address
                self._tell("disconnect", lambda: self._net().disconnect(self._container))

    def rejoin(self) -> None:
        """Undo `isolate`, with the same aliases and the same address. Repeatable."""
        with self._lock:
            if not self._state() or self._on_network():
                return
            aliases = self._request.endpoint.get("Aliases")
            self._tell(
                "reconnect",
                lambda: self._net().connect(self._container, aliases=aliases, ipv4_address=self._address or None),
            )

    def _on_network(self) -> bool:
        return bool(self._state()) and self._joined() is not None

    def _joined(self) -> Any:
        return self._container.attrs["NetworkSettings"]["Networks"].get(self._request.network)

    def _net(self) -> Any:
        return self.client.networks.get(self._request.network)

    def _tell(self, verb: str, call: Any) -> None:
        if self._container is None:
            return
        try:
            call()
        except (DockerException, RequestException) as error:
            if getattr(error, "status_code", 0) in {304, 404, 409}:  # done already, gone, or not running
                return
            raise ServiceError(f"{self.service.name}: {verb}: {reason(error)}") from error

    def _wait_stopped(self) -> None:
        if self._container is not None and self._state().get("Running"):
            self._tell("wait", lambda: self._container.wait(timeout=10))

    def close(self) -> None:
        """End the log's thread and the client. The container itself goes by its label."""
        self._pump.close()
        self._end_client()

    def _end_client(self) -> None:
        if self.client is not None:
            self.client.close()


@dataclass(frozen=True)
class Request:
    """What Testcontainers is asked for; `more` are keyword arguments of docker's client, one create request."""

    ports: Mapping[str, tuple[str, int]]
    tmpfs: Mapping[str, str]
    network: str
    endpoint: Mapping[str, Any]
    more: Mapping[str, Any]

    def container(self, service: ServicePlan) -> DockerContainer:
        """A Testcontainers container, not created yet."""
        made = DockerContainer(service.image, env=dict(service.environment)).with_kwargs(**self.more)
        if service.command:
            made.with_command(list(service.command))
        # Typed for a number, handed on to docker's client, which takes an address to publish on as well.
        cast("dict[str, Any]", made.ports).update(self.ports)
        made.tmpfs.update(self.tmpfs)
        return made


def request_for(
    service: ServicePlan,
    endpoints: Mapping[str, Endpoint],
    numbers: Mapping[str, int],
    mounts: list[Mount],
    network: str,
    labels: Mapping[str, str],
) -> Request:
    """Ports on 127.0.0.1 only, no new privileges, the limits of the compose file, our labels in the create request.

    `numbers` gives each port's number inside the container by name.
    """
    limits = service.limits
    endpoint = EndpointConfig("1.41", aliases=list(dict.fromkeys([service.name, *service.options.aliases])))
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
        "network": network,
        "networking_config": {network: endpoint},
        **_optional(service.options),
    }
    tmpfs = {mount.target: mount.source for mount in service.mounts if mount.kind == "tmpfs"}
    kept = {key: value for key, value in more.items() if value is not None}
    return Request(_published(endpoints, numbers), tmpfs, network, endpoint, kept)


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


def explain(service: ServicePlan, error: Exception) -> ServiceError | PortError:
    """An engine's refusal in one sentence, with the next step."""
    said = reason(error)
    if isinstance(error, ImageNotFound):
        return ServiceError(f"{service.name}: image {service.image} is not on the engine", "pull it, or allow pulling")
    if "port is already allocated" in said or "address already in use" in said:
        return PortError(f"{service.name}: {said}", "somebody outside took a leased port; run again")
    if "exec format error" in said or re.search(r"does not match the (detected host|specified) platform", said):
        return ServiceError(f"{service.name}: image {service.image} is built for another architecture: {said}")
    return ServiceError(f"{service.name}: {said}")
