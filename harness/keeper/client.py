"""The keeper as its clients see it: a connection, and the services of its stack as handles."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.credentials import Secret
from harness.errors import KeeperError
from harness.keeper import wire
from harness.keeper.remote_links import RemoteLinks, handle_class
from harness.keeper.rundir import RunDir
from harness.keeper.socketpath import address
from harness.model import Endpoint, Fidelity, ServiceStatus, StackPlan, State
from harness.probes.usage import Usage
from harness.stack import pick_endpoint

GONE_WITHIN = 10.0
"""Seconds until a keeper that has closed its stack must have removed its directory."""

Progress = Callable[[ServiceStatus], None]


def ignore(status: ServiceStatus) -> None:
    """For callers that do not want progress."""
    del status


class KeeperClient:
    """One connection. Threads may share it; requests of one connection are answered one after another."""

    def __init__(self, run_dir: RunDir) -> None:
        self.run_dir = run_dir
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            with address(run_dir.socket) as name:
                self._socket.connect(name)
        except OSError as error:
            self._socket.close()
            raise KeeperError(f"run {run_dir.run}: its keeper does not answer: {error.strerror}") from error
        self._file = self._socket.makefile("rwb")

    def call(self, operation: str, on_event: Callable[[Any], None] | None = None, **arguments: Any) -> Any:
        """Ask and wait for the answer. Raises the keeper's own error, or KeeperError when it is gone."""
        with self._lock:
            try:
                self._file.write(wire.encode({"op": operation, **arguments}))
                self._file.flush()
                for line in self._file:
                    message = json.loads(line)
                    if "event" not in message:
                        return _unpacked(message)
                    if on_event:
                        on_event(message["event"])
            except (OSError, ValueError) as error:
                raise KeeperError(f"run {self.run_dir.run}: lost its keeper: {error}", _see(self.run_dir)) from error
        raise KeeperError(f"run {self.run_dir.run}: its keeper ended", _see(self.run_dir))

    def start(
        self, plan: StackPlan, report: Path, about: Mapping[str, Any], progress: Progress = ignore
    ) -> RemoteStack:
        """Start the stack, or join the one that is started already. Services that failed are told in their status."""
        statuses = self.call(
            "start",
            lambda event: progress(wire.status_from_wire(event)),
            plan=wire.plan_to_wire(plan),
            report=str(report),
            about=dict(about),
        )
        return RemoteStack(self, [wire.status_from_wire(status) for status in statuses])

    def stack(self) -> RemoteStack:
        """The stack as it is now; empty before it was started."""
        return RemoteStack(self, [wire.status_from_wire(status) for status in self.call("status")])

    def usage(self) -> dict[str, Usage | None]:
        """Memory and handles of each service and of the keeper itself; None for one that this machine does not see."""
        return {name: Usage(**used) if used else None for name, used in self.call("usage").items()}

    def keep(self) -> None:
        """Let the stack live on after its owner."""
        self.call("keep")

    def close_stack(self) -> list[str]:
        """End the stack, its keeper and this connection, and wait until all is gone. Returns what is left behind."""
        left: list[str] = self.call("close")
        self.disconnect()
        deadline = time.monotonic() + GONE_WITHIN
        while self.run_dir.path.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        return left + [str(path) for path in (self.run_dir.path,) if path.exists()]

    def disconnect(self) -> None:
        """End this connection; what it broke and did not heal is healed by the keeper."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError, ValueError):  # what was not sent yet is lost; the descriptor is freed by both closing
            self._file.close()
        self._socket.close()

    def __enter__(self) -> KeeperClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()


def _unpacked(message: Mapping[str, Any]) -> Any:
    if "error" in message:
        raise wire.error_from_wire(message["error"])
    return message["ok"]


def _see(run_dir: RunDir) -> str:
    return f"see {run_dir.log}" if run_dir.log.exists() else "start again"


class RemoteHandle:
    """A service of the keeper's stack. It is a `ManagedHandle`: every operation is a request to the keeper."""

    def __init__(self, client: KeeperClient, status: ServiceStatus) -> None:
        self._client, self._status = client, status

    @property
    def name(self) -> str:
        """The service's name in the compose file."""
        return self._status.name

    @property
    def kind(self) -> str | None:
        """What the harness knows it as."""
        return self._status.kind

    @property
    def state(self) -> State:
        """What it was doing when last asked."""
        return self._status.state

    @property
    def cause(self) -> str:
        """Why it is not ready."""
        return self._status.cause

    @property
    def ready_after(self) -> float:
        """Seconds from launch to ready."""
        return self._status.ready_after

    @property
    def fidelity(self) -> Fidelity:
        """What answers here."""
        return self._status.fidelity

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Every address, by the port's name."""
        return self._status.endpoints

    @property
    def credentials(self) -> Mapping[str, Secret]:
        """What clients need to log in."""
        return {name: Secret(value) for name, value in self._status.credentials.items()}

    @property
    def log(self) -> Path:
        """What it printed, in a file that only grows."""
        return self._status.log

    def endpoint(self, name: str = "") -> Endpoint:
        """One address; the first when no name is given. Raises UsageError for an unknown name."""
        return pick_endpoint(self.name, self.endpoints, name)

    def inside(self, name: str = "") -> Endpoint:
        """The same address as the stack's own services know it: what a cluster's members announce to clients."""
        return pick_endpoint(self.name, self._status.inside, name)

    def kill(self) -> None:
        """SIGKILL."""
        self._operate("kill")

    def stop(self, grace: float | None = None) -> None:
        """SIGTERM, then SIGKILL after the grace in seconds."""
        self._operate("stop", grace=grace)

    def start(self, wait: bool = True) -> None:
        """Start again on the same address with the same data."""
        self._operate("start_service", wait=wait)

    def restart(self) -> None:
        """`stop`, `start`, ready again."""
        self._operate("restart")

    def pause(self) -> None:
        """Freeze."""
        self._operate("pause")

    def resume(self) -> None:
        """Undo `pause`."""
        self._operate("resume")

    def refresh(self) -> RemoteHandle:
        """Ask the keeper again."""
        statuses = map(wire.status_from_wire, self._client.call("status"))
        self._status = next(status for status in statuses if status.name == self.name)
        return self

    def _operate(self, verb: str, **arguments: Any) -> None:
        self._status = wire.status_from_wire(self._client.call(verb, service=self.name, **arguments))


class RemoteStack(Mapping[str, RemoteHandle]):
    """The services of a running stack by name, in start order."""

    def __init__(self, client: KeeperClient, statuses: list[ServiceStatus]) -> None:
        self.client = client
        self._handles: dict[str, RemoteHandle] = {
            status.name: handle_class(RemoteHandle, status.can)(client, status) for status in statuses
        }

    def __getitem__(self, name: str) -> RemoteHandle:
        return self._handles[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._handles)

    def __len__(self) -> int:
        return len(self._handles)

    @cached_property
    def _about(self) -> dict[str, str]:
        about: dict[str, str] = self.client.call("about")
        return about

    @property
    def callback_host(self) -> str:
        """What a receiver of ours binds: loopback, or the host's address in the services' network."""
        return self._about["callback_host"]

    @contextmanager
    def called_at(self, port: int) -> Iterator[str]:
        """`HOST:PORT` by which services reach a receiver of ours that listens on `callback_host` at this port. On a
        machine that is not the services', a way for them that ends with this context: close the receiver before."""
        if not self.elsewhere:
            yield f"{self.callback_host}:{port}"
            return
        try:
            yield str(self.client.call("called_at", port=port))
        finally:
            self.client.call("called_no_more", port=port)

    @property
    def elsewhere(self) -> str:
        """The address of the engine when that is on another machine; empty when services run on this one."""
        return self._about.get("elsewhere", "")

    @property
    def runtime(self) -> str:
        """Where the services run: `docker` or `process`."""
        return self._about["runtime"]

    @cached_property
    def plan(self) -> StackPlan:
        """What was started: images, environment, who depends on whom."""
        return wire.plan_from_wire(self.client.call("plan"))

    @property
    def links(self) -> RemoteLinks:
        """The links of the stack by name, asked anew."""
        return RemoteLinks(self.client)

    @property
    def run(self) -> str:
        """The run's id: what labels carry, and what `harness down --run` takes."""
        return self.client.run_dir.run

    def of_kind(self, kind: str) -> RemoteHandle | None:
        """The first service of a kind, None when the stack has none."""
        return next((handle for handle in self.values() if handle.kind == kind), None)

    def failed(self) -> list[RemoteHandle]:
        """The services that are not ready."""
        return [handle for handle in self.values() if handle.state is not State.READY]
