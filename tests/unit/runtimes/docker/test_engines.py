"""Several engines, asked at once: each is there, and no two addresses are one engine."""

from __future__ import annotations

from typing import Any

import pytest
from docker.errors import DockerException

from harness.errors import RuntimeUnavailable
from harness.runtimes.docker.engine import make_client
from harness.runtimes.docker.engines import ask_all
from tests.unit.rigs.docker_rig import FakeEngine

FIRST, SECOND, THIRD = "unix:///first.sock", "tcp://127.0.0.1:2375", "tcp://127.0.0.1:2376"


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeEngine]:
    """Engines by address, behind docker's client; two of them on one machine, which gives them one id."""
    found = {
        FIRST: FakeEngine(identity=("ID", "host", "/var/lib/docker")),
        SECOND: FakeEngine(identity=("ID", "host", "/srv/docker")),
        THIRD: FakeEngine(identity=("ID", "host", "/var/lib/docker")),
    }
    found[FIRST].install(monkeypatch)

    def from_env(environment: dict[str, str], **_: Any) -> Any:
        return found[environment["DOCKER_HOST"]].client()

    monkeypatch.setattr("docker.DockerClient.from_env", from_env)
    return found


def test_each_is_told_in_the_order_in_which_it_was_named(engines: dict[str, FakeEngine]) -> None:
    found = ask_all([SECOND, FIRST])
    assert [one.address for one in found] == [SECOND, FIRST]
    assert found[0].told() == {
        "address": SECOND, "version": "20.10.24", "api": "1.41", "os": "Fake", "architecture": "x86_64",
    }  # fmt: skip
    assert [engine.clients for engine in engines.values()] == [0, 0, 0]


def test_two_engines_of_one_machine_are_two(engines: dict[str, FakeEngine]) -> None:
    """Before 23.0 an engine's id comes from a key of the machine, so that alone says nothing."""
    assert len(ask_all([FIRST, SECOND])) == 2


def test_one_engine_by_two_addresses_is_refused(engines: dict[str, FakeEngine]) -> None:
    with pytest.raises(RuntimeUnavailable) as refused:
        ask_all([FIRST, SECOND, THIRD])
    assert refused.value.message.startswith(f"engines {FIRST} and {THIRD} are one engine: expected a different one")
    assert refused.value.exit_code == 7


def test_an_address_given_twice_is_refused(engines: dict[str, FakeEngine]) -> None:
    engines[SECOND].identity = ()
    with pytest.raises(RuntimeUnavailable, match=f"engine {SECOND} is named twice"):
        ask_all([SECOND, SECOND])


def test_the_one_that_does_not_answer_is_named(engines: dict[str, FakeEngine]) -> None:
    engines[SECOND].refuse("info", DockerException("Connection refused"))
    with pytest.raises(RuntimeUnavailable, match=f"docker engine at {SECOND} does not answer: Connection refused"):
        ask_all([FIRST, SECOND])


def test_engines_that_tell_nothing_of_themselves_are_taken_for_two(engines: dict[str, FakeEngine]) -> None:
    for engine in engines.values():
        engine.identity = ("", "", "")
    assert len(ask_all([FIRST, SECOND])) == 2


def test_a_client_for_an_address_leaves_the_environments_engine_alone(engines: dict[str, FakeEngine]) -> None:
    make_client(address=SECOND).close()
    assert [engine.asked("connect") for engine in engines.values()] == [[], [""], []]
