"""Runtimes: where services run. A new one is a file here and a line in `RUNTIMES`, loaded only when it is chosen."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from harness.model import RuntimeName
from harness.ports import Runtime, Spawner

RUNTIMES: tuple[tuple[RuntimeName, str], ...] = (
    (RuntimeName.DOCKER, "harness.runtimes.docker.runtime:DockerRuntime"),
    (RuntimeName.PROCESS, "harness.runtimes.process:ProcessRuntime"),
)


def make_runtime(name: RuntimeName, directory: Path, spawner: Spawner) -> Runtime:
    """The runtime of that name, keeping its data under `directory`. Imports its library only now."""
    where = dict(RUNTIMES)[name]
    module, _, attribute = where.partition(":")
    runtime: Runtime = getattr(import_module(module), attribute)(directory, spawner)
    return runtime
