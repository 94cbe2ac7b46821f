"""The protocols of the edges: what stands in for them in tests and in the keeper is really one of them."""

from __future__ import annotations

from pathlib import Path

from harness.keeper.client import RemoteHandle
from harness.ports import Handle, Killable, Loggable, ManagedHandle, Pausable, Stoppable
from harness.stack import Service
from tests.unit.rigs.core_rig import FakeRuntime, StubHandle, plan_of, service


def test_a_handle_without_lifecycle_has_no_destructive_operation() -> None:
    stub = StubHandle({})
    assert isinstance(stub, Handle)
    assert not isinstance(stub, Killable | Stoppable | Pausable | Loggable)


def test_the_keepers_service_and_its_remote_handle_are_managed() -> None:
    plan = plan_of(service("a"))
    runtime = FakeRuntime()
    made = Service(plan.services["a"], runtime.create(plan.services["a"], {}, Path()), {}, plan.fidelity["a"], Path())
    assert isinstance(made, ManagedHandle)
    operations = ("kill", "stop", "start", "restart", "pause", "resume", "endpoint", "log", "credentials")
    assert all(hasattr(RemoteHandle, name) for name in operations)
