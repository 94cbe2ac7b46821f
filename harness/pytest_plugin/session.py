"""The state of one pytest process (the controller, or one xdist worker): its run, its keeper's client, its stack.

Everything is made on first use, so that collecting and unit tests start nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest

from harness import app
from harness.app import Run
from harness.config.settings import Settings
from harness.keeper.client import KeeperClient, RemoteHandle, RemoteStack, ignore
from harness.keeper.identity import Identity
from harness.model import ServiceStatus, StackPlan

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
    def stack(self) -> RemoteStack:
        """The running stack: started by whichever process asks first, joined by the others."""
        self.run.prepare()
        client = self.client
        statuses = client.stack()
        if statuses:
            return statuses
        plan, reason = self.planned
        self.announce(plan, reason)
        return app.start_stack(self.run, client, plan, reason, self.progress)

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

    def handle_of(self, kind: str) -> RemoteHandle:
        """The service of a kind; the test is skipped when the stack has none."""
        handle = self.stack.of_kind(kind)
        if handle is None:
            pytest.skip(f"{kind}: not part of this stack")
        return handle

    def service_names(self, kinds: tuple[str, ...]) -> tuple[str, ...]:
        """Names in the compose file of the services of these kinds."""
        plan, _ = self.planned
        return tuple(name for name, service in plan.services.items() if service.kind in kinds)

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
