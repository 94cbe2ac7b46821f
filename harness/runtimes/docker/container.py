"""One service as a container: how it is doing, and what can be done to it."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

from docker.errors import DockerException, ImageNotFound, NotFound
from requests import RequestException

from harness.errors import PortError, ServiceError
from harness.model import ServicePlan
from harness.probes.usage import belongs_to
from harness.runtimes.docker.engine import reason
from harness.runtimes.docker.images import name_on_engine
from harness.runtimes.docker.logs import LogPump
from harness.runtimes.docker.request import Request


class ContainerInstance:
    """A container of one service. `launch` creates it the first time and starts the same one again afterwards."""

    def __init__(self, service: ServicePlan, request: Request, log: Path) -> None:
        self.service, self._request = service, request
        self._container: Any = None
        self.client: Any = None
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

    @property
    def main_process(self) -> int:
        """Its number on this machine; 0 when the engine is on another, or in a virtual machine."""
        number = int(self._state().get("Pid", 0))
        return number if number and belongs_to(number, self.id) else 0

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
                self._tell("disconnect", lambda: self._net().disconnect(self._container))

    def rejoin(self) -> None:
        """Undo `isolate`, with the same aliases and the same address. Repeatable."""
        with self._lock:
            if not self._state() or self._on_network():
                return
            joins, aliases = self._request.joins, self._request.endpoint.get("Aliases")
            self._tell(
                "reconnect",
                lambda: self._net().connect(self._container, aliases=aliases, ipv4_address=joins.address),
            )

    def _on_network(self) -> bool:
        return bool(self._state()) and self._joined() is not None

    def _joined(self) -> Any:
        return self._container.attrs["NetworkSettings"]["Networks"].get(self._request.joins.network)

    def _net(self) -> Any:
        return self.client.networks.get(self._request.joins.network)

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
