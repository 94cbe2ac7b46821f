"""The process runtime: services as children on loopback; a real server where one is found, else its emulator.

Needs no Docker, no root and no network. What a container would get as mounts is found by translating its paths.
"""

from __future__ import annotations

import resource
import shutil
from collections.abc import Mapping
from importlib import util
from pathlib import Path

from harness.errors import PlanError, ServiceError
from harness.model import Endpoint, Fidelity, Mount, Port, ServicePlan, Source, StackPlan
from harness.plan import rewrite_service
from harness.ports import Spawner
from harness.runtimes.child import Child
from harness.services import kind_named
from harness.services.base import Binary, Kind, Place, environment_for


class ProcessInstance(Child):
    """A child process as the stack sees it. It is `Reconfigurable` and `DiskLimitable` beside."""

    _whole: tuple[str, ...] = ()
    """Its command line while it runs with a broken one."""

    def healthy(self) -> bool | None:
        """None: a compose health check runs inside an image, which is not here."""
        return None

    def misconfigure(self, word: str) -> None:
        """Stop it, and launch it with a word too many."""
        with self._lock:
            self.kill()
            self._whole = self._whole or self.command
            self.command = (*self._whole, word)
            self.launch()

    def reconfigure(self) -> None:
        """Launch it as it was."""
        with self._lock:
            if self._whole:
                self.kill()
                self.command, self._whole = self._whole, ()
                self.launch()

    def fill_disk(self) -> None:
        """No file of it may be longer than nothing: the kernel answers EFBIG to every write that appends."""
        self._limit_files(0)

    def free_disk(self) -> None:
        """As long as they like."""
        self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, longest: int) -> None:
        if not self.alive:  # some servers end themselves when they cannot write; a new one has no limit
            return
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        soft = hard if longest == resource.RLIM_INFINITY else longest
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (soft, hard))


class ProcessRuntime:
    """Runs one stack's services under a directory of its own."""

    def __init__(self, directory: Path, spawner: Spawner) -> None:
        self.directory = directory
        self.callback_host, self.elsewhere = "127.0.0.1", ""
        self._spawner = spawner
        self._plan: StackPlan | None = None
        self._instances: list[ProcessInstance] = []

    def called_at(self, port: int) -> tuple[str, int]:
        """Services are on this host."""
        return self.callback_host, port

    def called_no_more(self, port: int) -> None:
        """Nothing was done for it."""

    def lost(self) -> str:
        """Never: services are processes of this host."""
        return ""

    def prepare(self, plan: StackPlan) -> None:
        """Make the directories. Raises PlanError when they cannot be made."""
        self._plan = plan
        try:
            (self.directory / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.directory / "files").mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise PlanError(f"{self.directory}: {error.strerror}", "choose another with --state") from error

    def create(
        self, service: ServicePlan, addresses: Mapping[str, Mapping[str, Endpoint]], log: Path
    ) -> ProcessInstance:
        """The service's process, not launched yet. Raises PlanError for a command that cannot be carried over."""
        if self._plan is None or service.kind is None:
            raise PlanError(f"service {service.name}: not part of a prepared plan")
        kind = kind_named(service.kind)
        data = _mounted_data(service, kind) or self.directory / "data" / service.name
        data.mkdir(exist_ok=True, mode=0o700)
        binary = _binary(self._plan.fidelity[service.name])
        rewritten = self._rewritten(service, addresses)
        translate = PathMap(rewritten.mounts, data, self.directory / "files" / service.name)
        place = Place(rewritten, data, addresses[service.name], translate, binary)
        launch = kind.launch(place)
        program = (str(binary.path),) if binary else _emulator(kind, service)
        instance = ProcessInstance(
            (*program, *launch.arguments),
            environment_for(place, launch.environment),
            data,
            log,
            self._spawner,
            launch.stdin,
        )
        self._instances.append(instance)
        return instance

    def _rewritten(self, service: ServicePlan, addresses: Mapping[str, Mapping[str, Endpoint]]) -> ServicePlan:
        plan = self._plan
        ports = {
            name: {port.number: port.name for port in (*kind_named(other.kind).ports, *_more(other.kind))}
            for name, other in (plan.services if plan else {}).items()
            if other.kind
        }
        return rewrite_service(service, addresses, ports)

    def inside(self, service: ServicePlan, endpoints: Mapping[str, Endpoint]) -> Mapping[str, Endpoint]:
        """The same: all of them are on loopback."""
        del service
        return endpoints

    def close(self) -> list[str]:
        """Kill what still runs and delete the data. Returns what is left."""
        left = [told for instance in self._instances if (told := _killed(instance))]
        shutil.rmtree(self.directory / "data", ignore_errors=True)
        shutil.rmtree(self.directory / "files", ignore_errors=True)
        return left + [str(path) for path in (self.directory / "data", self.directory / "files") if path.exists()]


class PathMap:
    """Where a path inside a container is on this machine. Inline configs are written to files only we can read.

    A service's first volume is its data directory; every further one, and each tmpfs, is a directory inside of that.
    """

    def __init__(self, mounts: tuple[Mount, ...], data: Path, files: Path) -> None:
        self._mounts, self._data, self._files = mounts, data, files
        self._first = next((mount for mount in mounts if mount.kind == "volume"), None)

    def __call__(self, path: str) -> str:
        """The translated path; `path` itself when nothing is mounted there."""
        for mount in sorted(self._mounts, key=lambda item: len(item.target), reverse=True):
            if path == mount.target or path.startswith(mount.target.rstrip("/") + "/"):
                return self._translated(mount, path)
        return path

    def _translated(self, mount: Mount, path: str) -> str:
        inside = path[len(mount.target.rstrip("/")) :].lstrip("/")
        if mount.kind == "bind":
            return str(Path(mount.source, inside)) if inside else mount.source
        if mount.kind == "content":
            return str(self._written(mount))
        return str(self._place(mount) / inside)

    def _place(self, mount: Mount) -> Path:
        if mount is self._first:
            return self._data
        place = self._data / ".mounts" / mount.target.strip("/").replace("/", "_")
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return place

    def _written(self, mount: Mount) -> Path:
        self._files.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._files / mount.target.strip("/").replace("/", "_")
        file.touch(mode=0o600)
        file.write_text(mount.source, encoding="utf-8")
        return file


def _mounted_data(service: ServicePlan, kind: Kind) -> Path | None:
    """The directory of this machine that the service's data directory is bound to, where it is: not ours to delete."""
    bound = (mount for mount in service.mounts if mount.kind == "bind" and not mount.read_only)
    return next((Path(mount.source) for mount in bound if mount.target.rstrip("/") in kind.facts.writable[:1]), None)


def _more(kind: str) -> tuple[Port, ...]:
    """The ports that services of a stack reach each other on, and no client of ours."""
    return kind_named(kind).process_ports


def _emulator(kind: Kind, service: ServicePlan) -> tuple[str, ...]:
    """The command of a kind's emulator. Raises PlanError when what it is made of is not installed, or it is to speak
    TLS and cannot."""
    if service.tls and not kind.emulator_tls:
        raise PlanError(
            f"service {service.name}: the emulator of {kind.name} speaks no TLS", f"put {kind.programs[0]} on PATH"
        )
    if not all(map(util.find_spec, kind.emulator_libraries)):
        raise PlanError(
            f"no {' or '.join(kind.programs)} is here, and the emulator needs {', '.join(kind.emulator_libraries)}",
            "install one, or `pip install 'infra-harness[embedded]'`, or use the docker runtime",
        )
    return kind.emulator


def _killed(instance: ProcessInstance) -> str:
    """What is left of it, in words; empty when it is gone."""
    try:
        instance.kill()
    except ServiceError as error:
        return error.message
    return ""


def _binary(fidelity: Fidelity) -> Binary | None:
    return Binary(Path(fidelity.detail), fidelity.version) if fidelity.source is Source.BINARY else None
