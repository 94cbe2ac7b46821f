"""What the tests of one service share with each other: its addresses, a corner's names, a Collector of a test's own.

The service is the one that the file is named for (`test_consul_locks.py`), as everywhere in this layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import ServiceExited
from harness.keeper.client import RemoteHandle, RemoteStack
from harness.model import Endpoint
from harness.probes.http import expect
from harness.probes.otlp_sink import OtlpSink
from harness.probes.tcp import listens
from harness.pytest_plugin.fixtures import Namespace
from harness.runtimes.child import Child
from harness.services import SERVICES


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of service that this file is about."""
    stem = request.path.stem.removeprefix("test_")
    return next(kind.name for kind in SERVICES if stem.startswith(kind.name))


@pytest.fixture
def subject(stack: RemoteStack, kind: str) -> RemoteHandle:
    """The service that this file is about."""
    handle = stack.of_kind(kind)
    return handle or pytest.skip(f"{kind}: not part of this stack")


@pytest.fixture
def http(subject: RemoteHandle) -> Endpoint:
    """Where its HTTP API answers."""
    return subject.endpoint("http")


@pytest.fixture
def otlp(subject: RemoteHandle) -> Endpoint:
    """Where it takes OTLP over HTTP."""
    return subject.endpoint("otlp_http")


@pytest.fixture
def prefix(namespace: Namespace, kind: str) -> str:
    """This test's key prefix, with the separator at its end."""
    return str(namespace.of(kind))


@pytest.fixture
def name(prefix: str) -> str:
    """A service's name; everything registered under it goes when the test ends."""
    return f"{prefix[:-1]}-api"


@pytest.fixture
def marks(namespace: Namespace, kind: str) -> dict[str, str]:
    """Resource attributes that mark what this test sends."""
    return {"service.name": "checkout", **namespace.of(kind)}


# -- a Collector of a test's own ------------------------------------------------------------------------------------


@pytest.fixture
def sink(lease: Callable[..., Endpoint]) -> Iterator[OtlpSink]:
    """The backend, listening."""
    with OtlpSink(lease("sink")) as made:
        yield made


@pytest.fixture
def collector_file(tmp_path: Path) -> Callable[..., Path]:
    """`collector_file(configuration, *changes)`: the file, with some of its values changed; None removes a key."""

    def write(configuration: Mapping[str, Any], *changes: Mapping[str, Any]) -> Path:
        for change in changes:
            configuration = _merged(configuration, change)
        file = tmp_path / "collector.yaml"
        file.write_text(yaml.safe_dump(dict(configuration), sort_keys=False))  # the order of processors counts
        return file

    return write


@pytest.fixture
def start_collector(
    own_server: Callable[[str], list[str]], private_process: Callable[..., Child]
) -> Callable[..., Child]:
    """`start_collector(file, metrics, receiver, ..., environment={})`: a Collector of this test alone, once it
    serves its own metrics, which it does first, and its receivers listen.

    Skipped where the build that is here lacks a component.
    """

    def start(
        file: Path, metrics: Endpoint, *receivers: Endpoint, environment: Mapping[str, str] | None = None
    ) -> Child:
        def started() -> None:
            expect(200, metrics, "/metrics")
            listens(*receivers)

        command = [*own_server("otel_collector"), f"--config={file}"]
        try:
            return private_process(command, started, environment)
        except ServiceExited as ending:
            if "unknown type" in str(ending):
                pytest.skip("not verified: this build of the Collector lacks a component of contrib")
            raise

    return start


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """An empty mapping replaces, None removes, everything else goes into what was there."""
    both = {key: _merged(base[key], value) for key, value in change.items()
            if isinstance(base.get(key), Mapping) and value}  # fmt: skip
    return {key: value for key, value in {**base, **change, **both}.items() if value is not None}
