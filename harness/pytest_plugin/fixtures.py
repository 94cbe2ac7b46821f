"""Fixtures: `stack`, `namespace`, `seed`, `rng`, `private_stack`, `run_experiment`, and one client per kind of service,
made in a loop over `SERVICES`."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.pytest_plugin.private import ExperimentRunner, PrivateStacks
from harness.pytest_plugin.session import HarnessSession, session_of
from harness.pytest_plugin.smoke import smoke_corner
from harness.runtimes.external import ExternalStack
from harness.services import SERVICES, kind_named
from harness.services.base import Kind


class Namespace:
    """A corner of its own for one test in each service that it touches, removed when the test ends.

    `name` is unique in the world: a letter, then letters, digits and hyphens, 14 characters.
    """

    def __init__(self, session: HarnessSession) -> None:
        self.name = f"t-{secrets.token_hex(6)}"
        self._session = session
        self._opened: dict[str, Any] = {}

    def of(self, kind: str) -> Any:
        """This test's corner of a service: a prefix (consul, redis), a database (arangodb), a folder (grafana),
        or resource attributes to mark telemetry with (tempo, otel_collector). Made on first use."""
        if kind not in self._opened:
            self._opened[kind] = kind_named(kind).open_namespace(self._session.handle_of(kind), self.name)
        return self._opened[kind]

    def close(self) -> None:
        """Remove every corner that was made. Raises the first failure after trying all."""
        failures = []
        for kind in reversed(list(self._opened)):
            try:
                kind_named(kind).close_namespace(self._session.handle_of(kind), self.name)
            except Exception as error:  # one service's failure must not keep the others' corners
                failures.append(error)
        self._opened.clear()
        if failures:
            raise failures[0]

    def __str__(self) -> str:
        return self.name


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> RemoteStack | ExternalStack:
    """The running services, by name in the compose file: addresses, credentials, logs, kill, pause, restart."""
    return session_of(pytestconfig).stack


@pytest.fixture
def namespace(pytestconfig: pytest.Config) -> Iterator[Namespace]:
    """A corner of its own for this test in every service it touches: `namespace.of("redis")`, `namespace.name`."""
    corner = Namespace(session_of(pytestconfig))
    yield corner
    corner.close()


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The run's seed, printed in the header and in every line that reruns a test."""
    return session_of(pytestconfig).run.seed


@pytest.fixture
def rng(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """Random numbers that are the same for the same test and seed, whatever ran before."""
    return random.Random(f"{seed}:{request.node.nodeid}")


@pytest.fixture
def private_stack(request: pytest.FixtureRequest) -> Iterator[PrivateStacks]:
    """Services for this test alone: `private_stack("redis-primary", links=[LinkPlan("edge", "redis-primary")])`."""
    stacks = PrivateStacks(session_of(request.config), request.node.name)
    yield stacks
    stacks.close()


@pytest.fixture
def run_experiment(request: pytest.FixtureRequest, private_stack: PrivateStacks) -> ExperimentRunner:
    """Runs an experiment, writes its history and journal entry, and ends a stack whose undo failed."""
    return ExperimentRunner(session_of(request.config), request.node.nodeid, private_stack)


def _client_fixture(kind: Kind) -> Any:
    def client(pytestconfig: pytest.Config) -> Iterator[Any]:
        made = kind.client(session_of(pytestconfig).handle_of(kind.name))
        yield made
        kind.close_client(made)

    client.__name__ = kind.fixture
    client.__doc__ = f"{kind.name}: {(kind.client.__doc__ or '').strip()}"
    return pytest.fixture(scope="session", name=kind.fixture)(client)


def make_module() -> ModuleType:
    """What pytest registers: a module of its own, so that nothing is defined before the project has enabled it."""
    module = ModuleType("infra_harness_fixtures", "Fixtures of the infrastructure harness.")
    for fixture in (stack, namespace, seed, rng, private_stack, run_experiment, smoke_corner):
        setattr(module, fixture.__name__, fixture)
    for kind in SERVICES:
        setattr(module, kind.fixture, _client_fixture(kind))
    return module
