"""An engine on another machine is told at once, by its address alone; one on this machine never is."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from harness.errors import RuntimeUnavailable
from harness.runtimes import elsewhere as subject
from harness.runtimes.docker import engine as asking
from tests.unit.rigs.docker_rig import FakeEngine

FAR = "203.0.113.5"
"""An address that no machine has (RFC 5737)."""


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name has these addresses; none is no such name."""

    def answer(*_: Any, **__: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr("socket.getaddrinfo", answer)


@pytest.mark.parametrize(
    "address",
    [
        "unix:///var/run/docker.sock",
        "npipe:////./pipe/docker_engine",
        "tcp://127.0.0.1:2375",
        "tcp://127.8.9.10:2375",
        "tcp://localhost:2375",
        "https://127.0.0.1:2376",
        "nonsense",
        "tcp://",
    ],
)
def test_what_is_or_may_be_on_this_machine_is_let_through(address: str) -> None:
    """What is no address at all is left to docker's client, which tells so."""
    subject.refuse_elsewhere(address)


def test_a_name_with_one_address_of_ours_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, FAR, "127.0.1.1")
    subject.refuse_elsewhere("tcp://this-very-host:2375")


@pytest.mark.parametrize("scheme", ["tcp", "http", "https"])
def test_another_machine_is_refused_with_the_reason_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    resolve(monkeypatch, FAR)
    with pytest.raises(RuntimeUnavailable) as refused:
        subject.refuse_elsewhere(f"{scheme}://build.test:2375")
    assert f"{scheme}://build.test:2375 is on another machine ({FAR})" in refused.value.message
    assert "127.0.0.1 of the engine's machine" in refused.value.message
    assert refused.value.next_step.startswith("name it by ssh, as ssh://USER@build.test, or run the harness on that")


def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch)
    with pytest.raises(RuntimeUnavailable, match="no such host as build"):
        subject.refuse_elsewhere("tcp://build.test:2375")


def test_a_resolver_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: over.wait(30) and [])
    monkeypatch.setattr(subject, "LOOKUP_WITHIN", 0.01)
    try:
        with pytest.raises(RuntimeUnavailable, match="no such host as silent"):
            subject.refuse_elsewhere("tcp://silent.test:2375")
    finally:
        over.set()


def test_an_engine_over_ssh_is_not_asked_about_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name may be one of ssh's configuration, that no resolver knows."""
    resolve(monkeypatch)
    subject.refuse_elsewhere("ssh://me@build.test")


def test_nobody_is_asked_at_an_address_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine().install(monkeypatch)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{FAR}:2375")
    with pytest.raises(RuntimeUnavailable, match="is on another machine"):
        asking.ask()
    assert engine.calls == []
