"""Fixtures for tests that need a server of their own: other limits, another retention, a kill that nobody else feels.

def test_x(own_server, private_process, lease):
    http, command = lease("http"), own_server("tempo")     # skipped where nothing here could start one
    server = private_process([*command, "-config.file=..."], ready=lambda: expect(200, http, "/ready"))
    server.kill()
    server.launch()                                         # same addresses, same data: see runtimes/child.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from harness.keeper.client import RemoteStack
from harness.keeper.leases import Leases
from harness.model import Endpoint, Port, Source
from harness.probes.poll import Deadline, poll
from harness.pytest_plugin.session import session_of
from harness.runtimes.child import Child
from harness.services import kind_named

READY_WITHIN = 15.0
"""Seconds a private server may take to its first answer: a JVM-free binary takes one, a loaded machine a few."""
HANDED_ON = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "PYTHONPATH", "EMULATOR_RECORD")
"""What a private process gets of our environment; proxies and credentials are none of its business."""


@pytest.fixture
def lease() -> Iterator[Callable[..., Endpoint]]:
    """`lease(name, scheme="http")`: an address on loopback that stays this test's own through kill and restart."""
    leases = Leases()

    def give(name: str, scheme: str = "http") -> Endpoint:
        return leases.lease(Port(name, 0, scheme))

    yield give
    leases.release()


@pytest.fixture
def private_process(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """`private_process(command, ready=..., environment={}, within=15.0)`: a child of this test alone, as a `Child`.

    Returns when `ready` returns (it raises NotYet or OSError until then); raises ServiceExited, with the end of its
    output, when the child ends first. Its output goes to `child.log`; it dies with the test, at the latest with us.
    """
    started: list[Child] = []

    def start(
        command: Sequence[str],
        ready: Callable[[], object] = lambda: None,
        environment: Mapping[str, str] | None = None,
        within: float = READY_WITHIN,
    ) -> Child:
        handed_on = {name: value for name, value in os.environ.items() if name in HANDED_ON or "COVERAGE" in name}
        log = tmp_path / f"process-{len(started)}.log"
        child = Child(command, {**handed_on, **(environment or {})}, tmp_path, log, lambda spawn: spawn())
        started.append(child)
        child.launch()
        poll(ready, Deadline.after(within), f"private {Path(command[0]).name}", lambda: _ending(child))
        return child

    yield start
    for child in started:
        child.kill()


@pytest.fixture(scope="session")
def own_server(stack: RemoteStack) -> Callable[[str], list[str]]:
    """`own_server("tempo")`: the command that starts another server of the very kind that answers in the stack.

    The test is skipped where there is none: an image or a live environment is not ours to start one of.
    """

    def command(kind: str) -> list[str]:
        handle = next(handle for handle in stack.values() if handle.kind == kind)
        if handle.fidelity.detail and Path(handle.fidelity.detail).is_file():
            return [handle.fidelity.detail]  # a program on this machine, even one that says of itself to be emulated
        if handle.fidelity.source is Source.EMULATOR:
            return list(kind_named(kind).emulator)
        return pytest.skip("not verified: needs a server of its own")

    return command


@pytest.fixture(scope="session")
def collector_parts(pytestconfig: pytest.Config) -> frozenset[str]:
    """The types of component in the configuration that the stack's Collector is started with; empty when not known."""
    found: set[str] = set()
    for service in session_of(pytestconfig).planned[0].services.values():
        words = {word.partition("=")[2] or word for word in service.command}
        if service.kind == "otel_collector":
            found.update(*(_types(Path(one.source)) for one in service.mounts if one.target in words))
    return frozenset(found)


def _types(config: Path) -> set[str]:
    read = yaml.safe_load(config.read_text(encoding="utf-8"))
    groups = (read.get(group) or {} for group in ("extensions", "exporters", "connectors"))
    return {name.partition("/")[0] for group in groups for name in group}


@pytest.fixture
def health_check(collector_parts: frozenset[str]) -> None:
    """Skips where the stack's Collector is configured without its health check, a contrib part."""
    _has("health_check", collector_parts)


@pytest.fixture
def scraping(collector_parts: frozenset[str]) -> None:
    """Skips where the stack's Collector is configured without the exporter that others scrape, a contrib part."""
    _has("prometheus", collector_parts)


def _has(part: str, parts: frozenset[str]) -> None:
    if parts and part not in parts:
        pytest.skip(f"not verified: the stack's Collector is configured without {part}")


def _ending(child: Child) -> str:
    ending = child.exit_report()
    return f"{ending}: {child.log.read_text(errors='replace')[-500:].strip()}" if ending else ""
