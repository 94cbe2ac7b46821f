"""What is on the engine of `docker_rig`: containers, networks, volumes, images, each telling it of every call."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from docker.errors import APIError, NotFound

if TYPE_CHECKING:
    from tests.unit.rigs.docker_rig import FakeEngine

STARTED_AT = "2026-07-01T12:00:00.25Z"


def refusal(status: int, said: str) -> APIError:
    """An answer of the engine that is no success."""
    response = requests.Response()
    response.status_code = status
    return APIError("refused", response, explanation=said)


@dataclass
class Thing:
    """A network or a volume."""

    engine: FakeEngine
    name: str
    shelf: str
    labels: dict[str, str]
    more: dict[str, Any] = field(default_factory=dict)
    busy: bool = False

    @property
    def attrs(self) -> dict[str, Any]:
        return {"Labels": self.labels, **self.more}

    def reload(self) -> None:
        self.engine.called("reload", self.name)

    def remove(self, force: bool = False) -> None:
        self.engine.called(f"{self.shelf}.remove", self.name)
        if self.busy:
            raise refusal(409, "in use")
        self.engine.forget(self.shelf, self)

    def disconnect(self, container: FakeContainer) -> None:
        self.engine.called("networks.disconnect", container.name)
        container.networks.pop(self.name, None)

    def connect(self, container: FakeContainer, **how: Any) -> None:
        self.engine.called("networks.connect", container.name, **how)
        container.networks[self.name] = {"IPAddress": how.get("ipv4_address") or "10.0.0.9"}


class FakeStream:
    """A log that is followed: these lines, and with `open_ended` no end until it is closed."""

    def __init__(self, lines: Iterable[bytes], open_ended: bool = False) -> None:
        self._lines, self._closed = iter(lines), threading.Event()
        self._open_ended = open_ended

    def __iter__(self) -> Iterator[bytes]:
        yield from self._lines
        if self._open_ended:
            self._closed.wait(10)

    def close(self) -> None:
        self._closed.set()


@dataclass
class FakeContainer:
    """A container whose life is `state`."""

    engine: FakeEngine
    name: str
    labels: dict[str, str]
    asked: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=lambda: {"Status": "created", "StartedAt": "", "Running": False})
    networks: dict[str, dict[str, str]] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    stream: FakeStream | None = None
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"id-{self.name}"

    @property
    def short_id(self) -> str:
        return self.id

    @property
    def attrs(self) -> dict[str, Any]:
        return {"State": self.state, "NetworkSettings": {"Networks": self.networks}}

    def reload(self) -> None:
        self.engine.called("containers.reload", self.name)
        if self not in self.engine.containers:
            raise NotFound("No such container")

    def start(self) -> None:
        self.engine.called("containers.start", self.name)
        self.state = {"Status": "running", "Running": True, "StartedAt": STARTED_AT}

    def put_archive(self, path: str, data: bytes) -> bool:
        self.engine.called("containers.put_archive", self.name, path=path)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                content = archive.extractfile(member)
                assert content is not None
                self.files[f"{path}{member.name}".replace("//", "/")] = (content.read(), member.mode)
        return True

    def end(self, **state: Any) -> None:
        """It ends by itself."""
        self.state = {"Status": "exited", "Running": False, "StartedAt": STARTED_AT, "ExitCode": 0, **state}

    def kill(self, signal: str) -> None:
        self.engine.called("containers.kill", self.name, signal=signal)
        self._must_run()
        self.end(ExitCode=137)

    def stop(self, timeout: int) -> None:
        self.engine.called("containers.stop", self.name, timeout=timeout)
        self.end(ExitCode=143)

    def pause(self) -> None:
        self.engine.called("containers.pause", self.name)
        self.state["Paused"] = True

    def unpause(self) -> None:
        self.engine.called("containers.unpause", self.name)
        self.state["Paused"] = False

    def wait(self, timeout: int) -> None:
        self.engine.called("containers.wait", self.name, timeout=timeout)

    def logs(self, **how: Any) -> Any:
        self.engine.called("containers.logs", self.name, **how)
        return self.stream or FakeStream(self.lines)

    def remove(self, force: bool, v: bool) -> None:
        self.engine.called("containers.remove", self.name)
        self.engine.forget("containers", self)

    def _must_run(self) -> None:
        if not self.state["Running"]:
            raise refusal(409, "Container is not running")


@dataclass
class FakeImage:
    """An image of the engine under one of its names."""

    engine: FakeEngine
    name: str
    digests: list[str] = field(default_factory=list)
    size: int = 1_000_000

    @property
    def attrs(self) -> dict[str, Any]:
        return {"RepoDigests": self.digests, "Size": self.size}

    @property
    def id(self) -> str:
        return f"sha256:id-{self.name}"

    @property
    def tags(self) -> list[str]:
        return [self.name]

    def tag(self, name: str) -> None:
        self.engine.called("images.tag", name)
        assert "@" not in name, "refusing to create a tag with a digest reference"
        self.engine.images[name] = FakeImage(self.engine, name, self.digests, self.size)
