"""The state of one pytest process (the controller, or one xdist worker): its run, its keeper's client, its stack.

Everything is made on first use, so that collecting and unit tests start nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest

from harness import app
from harness.app import Run
from harness.config.settings import Settings
from harness.errors import HarnessError
from harness.identity import Identity
from harness.keeper.client import KeeperClient, RemoteHandle, RemoteStack, ignore
from harness.model import RuntimeName, ServiceStatus, StackPlan
from harness.runtimes.external import ExternalHandle, ExternalStack

KEY = pytest.StashKey["HarnessSession"]()


def _say_nothing(plan: StackPlan, reason: str) -> None:
    del plan, reason


class HarnessSession:
    """Held in the pytest config's stash. `owner` is the process that the keeper lives for."""

    def __init__(self, settings: Settings, run: Run, owner: Identity, owns_run: bool) -> None:
        self.settings, self.run, self.owner, self.owns_run = settings, run, owner, owns_run
        self.progress: Callable[[ServiceStatus], None] = ignore
        self.announce: Callable[[StackPlan, str], None] = _say_nothing
        self._client: KeeperClient | None = None

    @cached_property
    def planned(self) -> tuple[StackPlan, str]:
        """The plan and the reason for its runtime."""
        return app.plan_for(self.settings)

    @cached_property
    def stack(self) -> RemoteStack | ExternalStack:
        """The running stack: started by whichever process asks first, joined by the others; or the environment of
        a target file, which is nobody's to start."""
        self.run.prepare()
        if self.external:
            return app.open_external(self.run)
        plan, reason = self.planned
        if not self.client.stack():
            self.announce(plan, reason)
        return app.start_stack(self.run, self.client, plan, reason, self.progress)  # waits for a start under way

    @property
    def client(self) -> KeeperClient:
        """A connection to the keeper, launched when there is none yet."""
        if self._client is None:
            self.run.prepare()
            app.ensure_keeper(self.run, self.owner)
            self._client = app.connect(self.run)
        return self._client

    @property
    def started(self) -> bool:
        """Whether this process has touched the stack."""
        return "stack" in self.__dict__

    @property
    def secrets(self) -> tuple[str, ...]:
        """What logs in to the services that this process has touched: a traceback may have it in its arguments."""
        handles = self.stack.values() if self.started else ()
        return tuple(secret.reveal() for handle in handles for secret in handle.credentials.values())

    @property
    def records_all(self) -> bool:
        """Whether every test goes into the journal, whatever it uses: `harness test` judges by the journal alone."""
        return "HARNESS_RUN_DIR" in os.environ

    @property
    def external(self) -> bool:
        """Whether the services are somebody else's."""
        return bool(self.settings["runtime"] == RuntimeName.EXTERNAL)

    def handle_of(self, kind: str) -> RemoteHandle | ExternalHandle:
        """The service of a kind; the test is skipped when the stack has none."""
        handle = self.stack.of_kind(kind)
        if handle is None:
            pytest.skip(f"{kind}: not part of this stack")
        return handle

    def service_names(self, kinds: tuple[str, ...]) -> tuple[str, ...]:
        """Names in the compose file of the services of these kinds. Raises HarnessError for bad input."""
        plan, _ = self.planned
        return tuple(name for name, service in plan.services.items() if service.kind in kinds)

    def known_names(self, kinds: tuple[str, ...]) -> tuple[str, ...]:
        """The same for reports: empty when bad input left no plan, which the test's own failure tells."""
        try:
            return self.service_names(kinds)
        except HarnessError:
            return ()

    def close(self) -> None:
        """Disconnect this process."""
        if self._client is not None:
            self._client.disconnect()
            self._client = None


def session_of(config: pytest.Config) -> HarnessSession:
    """The harness's state of this pytest process."""
    return config.stash[KEY]


def flags_of(config: pytest.Config) -> dict[str, Any]:
    """What was given on the command line, by option name."""
    prefix = "infra_"
    given = vars(config.option).items()
    return {name.removeprefix(prefix): value for name, value in given if name.startswith(prefix) and value is not None}
