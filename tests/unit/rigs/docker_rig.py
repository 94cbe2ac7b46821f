"""A docker engine of a few dictionaries, behind the calls of docker's client that the harness makes.

Refusals are prepared by a test: `engine.refuse("containers.start", refusal(500, "..."))` makes the next such call fail.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from docker.errors import ImageNotFound, NotFound
from testcontainers.core.config import testcontainers_config

from harness.identity import Identity
from harness.runtimes.docker.labels import Owner
from tests.unit.rigs.docker_things_rig import FakeContainer, FakeImage, FakeStream, Thing, refusal

__all__ = ["FakeContainer", "FakeEngine", "FakeStream", "Thing", "no_sleep", "owner", "refusal"]

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64


def owner(run: str = "r1", **identity: Any) -> Owner:
    """This process as the owner of a run; fields of its identity may be others."""
    mine = Identity.mine()
    fields = {"boot": mine.boot, "namespace": mine.namespace, "pid": mine.pid, "started": mine.started, **identity}
    return Owner(run, Identity(**fields))


@dataclass
class FakeEngine:
    """What is on the engine, what it was asked, and what it will refuse."""

    containers: list[FakeContainer] = field(default_factory=list)
    networks: list[Thing] = field(default_factory=list)
    volumes: list[Thing] = field(default_factory=list)
    images: dict[str, FakeImage] = field(default_factory=dict)
    registry: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    refusals: dict[str, list[Exception]] = field(default_factory=dict)
    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    architecture: str = "x86_64"
    identity: tuple[str, ...] = ()
    archive: Any = b"archive"
    clients: int = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
        """Put it behind docker's client, for Testcontainers as well; what they do to the environment is undone."""
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")
        monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
        monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
        monkeypatch.setattr("docker.DockerClient.from_env", lambda **_: self.client())
        monkeypatch.setattr("docker.from_env", lambda **_: self.client())
        return self

    def client(self) -> FakeClient:
        self.called("connect", "")
        self.clients += 1
        return FakeClient(self)

    def called(self, verb: str, what: str, **how: Any) -> None:
        """Note a call; do what a test wants done before it, and refuse it when that was prepared."""
        self.calls.append((verb, what, how))
        if verb in self.before:
            self.before[verb]()
        if self.refusals.get(verb):
            raise self.refusals[verb].pop(0)

    def refuse(self, verb: str, *errors: Exception) -> None:
        """The next calls of that verb fail, one after the other."""
        self.refusals[verb] = list(errors)

    def asked(self, verb: str) -> list[str]:
        """What a verb was called with so far."""
        return [what for called, what, _ in self.calls if called == verb]

    def forget(self, shelf: str, item: Any) -> None:
        things = getattr(self, shelf)
        if item not in things:
            raise NotFound(f"no such {shelf}")
        things.remove(item)

    def image(self, name: str, *digests: str, size: int = 1_000_000) -> FakeImage:
        """Put an image on the engine; digests as `RepoDigests` has them."""
        self.images[name] = FakeImage(self, name, list(digests), size)
        return self.images[name]

    def container(self, name: str, labels: Mapping[str, str]) -> FakeContainer:
        """Put a container on the engine."""
        self.containers.append(FakeContainer(self, name, dict(labels)))
        return self.containers[-1]

    def thing(self, shelf: str, name: str, labels: Mapping[str, str], **more: Any) -> Thing:
        """Put a network or volume on the engine."""
        made = Thing(self, name, shelf, dict(labels), more)
        getattr(self, shelf).append(made)
        return made


class FakeClient:
    """Docker's client of the fake engine."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.images = _Images(engine)
        self.containers = _Containers(engine)
        self.networks = _Shelf(engine, "networks")
        self.volumes = _Shelf(engine, "volumes")
        self.api = _Api(engine)

    def info(self) -> dict[str, Any]:
        self.engine.called("info", "")
        security = ["name=seccomp,profile=default", "name=rootless"]
        known = dict(zip(("ID", "Name", "DockerRootDir"), self.engine.identity, strict=False))
        about = {"OperatingSystem": "Fake", "Architecture": self.engine.architecture, "SecurityOptions": security}
        return {**about, **known}

    def version(self) -> dict[str, Any]:
        return {"Version": "20.10.24", "ApiVersion": "1.41"}

    def close(self) -> None:
        self.engine.clients -= 1


class _Images:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def get(self, name: str) -> FakeImage:
        self._engine.called("images.get", name)
        if name not in self._engine.images:
            raise ImageNotFound(f"No such image: {name}")
        return self._engine.images[name]

    def pull(self, name: str) -> None:
        raise AssertionError(f"{name} was pulled behind the harness's back")

    def load(self, source: io.BufferedReader) -> list[FakeImage]:
        self._engine.called("images.load", source.read().decode())
        return list(self._engine.images.values())


class _Containers:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def create(self, image: str, **asked: Any) -> FakeContainer:
        self._engine.called("containers.create", image, **asked)
        name = asked.get("hostname", image)
        made = self._engine.container(name, asked["labels"])
        made.asked = {"image": image, **asked}
        if "network" in asked:
            endpoint = asked["networking_config"][asked["network"]]
            made.networks = {asked["network"]: {"IPAddress": endpoint["IPAMConfig"]["IPv4Address"]}}
        return made

    def list(self, **how: Any) -> list[FakeContainer]:
        self._engine.called("containers.list", how["filters"]["label"])
        return [item for item in self._engine.containers if _labelled(item.labels, how["filters"]["label"])]


class _Shelf:
    def __init__(self, engine: FakeEngine, shelf: str) -> None:
        self._engine, self._shelf = engine, shelf

    def create(self, name: str, labels: dict[str, str] | None = None, **more: Any) -> Thing:
        self._engine.called(f"{self._shelf}.create", name, **more)
        if ipam := more.get("ipam"):
            more = {"IPAM": ipam}
        return self._engine.thing(self._shelf, name, labels or {}, **more)

    def get(self, name: str) -> Thing:
        found: Thing = next(item for item in getattr(self._engine, self._shelf) if item.name == name)
        return found

    def list(self, filters: Mapping[str, str] | None = None) -> list[Thing]:
        self._engine.called(f"{self._shelf}.list", "")
        label = (filters or {}).get("label", "")
        return [item for item in getattr(self._engine, self._shelf) if _labelled(item.labels, label)]


class _Api:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.headers: dict[str, str] = {}

    def pull(self, name: str, tag: str, stream: bool, decode: bool) -> Iterator[dict[str, Any]]:
        """`engine.registry` has, by place: an exception, a list of events, or a list of such answers in `tuple`s."""
        separator = "@" if ":" in tag else ":"
        place = f"{name}{separator}{tag}"
        self._engine.called("api.pull", place)
        answer = self._engine.registry.get(place, refusal(404, f"manifest for {place} not found: manifest unknown"))
        if isinstance(answer, tuple):
            self._engine.registry[place] = answer[1:] if len(answer) > 2 else answer[-1]
            answer = answer[0]
        if isinstance(answer, Exception):
            raise answer
        digest = tag if ":" in tag else DIGEST
        if not any("error" in event for event in answer):
            self._engine.image(place, f"{name}@{digest}")
            self._engine.image(f"{name}@{digest}", f"{name}@{digest}")
        return iter(answer)

    def inspect_distribution(self, place: str) -> None:
        self._engine.called("api.inspect_distribution", place)
        answer = self._engine.registry.get(place, refusal(404, "manifest unknown"))
        if isinstance(answer, Exception):
            raise answer

    def _url(self, path: str) -> str:
        return path

    def _get(self, url: str, params: dict[str, list[str]], stream: bool) -> requests.Response:
        self._engine.called("api.get", ",".join(params["names"]))
        response = requests.Response()
        missing = [name for name in params["names"] if name not in self._engine.images]
        response.status_code = 404 if missing else 200
        response.raw = io.BytesIO(b'{"message": "No such image: x"}' if missing else self._engine.archive)
        return response


def _labelled(labels: Mapping[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return not wanted or (name in labels and (not equals or labels[name] == value))


def no_sleep(monkeypatch: pytest.MonkeyPatch, module: str) -> list[float]:
    """Take the waiting out of a module; the seconds that it would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(f"{module}.time.sleep", slept.append)
    return slept
