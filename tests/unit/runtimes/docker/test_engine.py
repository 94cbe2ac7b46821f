"""Asking who is there; the innermost words of an error; libraries kept from deciding for us."""

from __future__ import annotations

import os

import pytest
from docker.errors import DockerException
from requests import ConnectionError, ReadTimeout  # noqa: A004
from testcontainers.core.config import testcontainers_config
from testcontainers.core.docker_client import get_docker_host

from harness.errors import RuntimeUnavailable
from harness.runtimes.docker import engine as subject
from tests.unit.rigs.docker_rig import FakeEngine, refusal


def test_an_engine_that_answers_is_described(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    found = subject.ask()
    assert found == subject.Engine("20.10.24", "1.41", "Fake", "x86_64", True, "unix:///var/run/docker.sock")
    assert engine.clients == 0


@pytest.mark.parametrize("verb", ["connect", "info"])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DockerException("('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))"),
         "No such file or directory"),
        (DockerException("('Connection aborted.', PermissionError(13, 'Permission denied'))"), "Permission denied"),
        (ConnectionError("NewConnectionError('<x>: Failed: [Errno 111] Connection refused')"), "Connection refused"),
        (ReadTimeout("Read timed out. (read timeout=2)"), r"Read timed out. \(read timeout=2\)"),
        (OSError("strange"), "strange"),
    ],
)  # fmt: skip
def test_an_engine_that_does_not_answer_is_told_with_the_reason(
    engine: FakeEngine, verb: str, error: Exception, told: str
) -> None:
    engine.refuse(verb, error)
    with pytest.raises(RuntimeUnavailable, match=f"does not answer: {told}\n") as refused:
        subject.ask()
    assert "--runtime process" in refused.value.next_step
    assert engine.clients == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refusal(500, "driver failed\nport is already allocated"), "port is already allocated"),
        (DockerException(""), "DockerException"),
        (ValueError("  one line "), "one line"),
        (OSError(13, "Permission denied"), "Permission denied"),
    ],
)
def test_the_innermost_words_are_one_line(error: Exception, told: str) -> None:
    assert subject.reason(error) == told


def test_an_engine_on_loopback_is_not_asked_through_a_proxy(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "a.test,localhost")
    subject.make_client()
    assert os.environ["NO_PROXY"] == "a.test,localhost,127.0.0.1,::1"


def test_testcontainers_takes_our_engine_and_logs_in_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own file names another engine, its environment a prefix, a login and no word on the reaper."""
    for name, value in {"ryuk_disabled": False, "hub_image_name_prefix": "corp.test/", "_docker_auth_config": "{}",
                        "tc_properties": {"tc.host": "tcp://elsewhere.test:2375"}}.items():  # fmt: skip
        monkeypatch.setattr(testcontainers_config, name, value)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    subject.tame_testcontainers()
    assert testcontainers_config.ryuk_disabled
    assert testcontainers_config.hub_image_name_prefix == ""
    assert not testcontainers_config.docker_auth_config
    assert get_docker_host() == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    subject.tame_testcontainers()
    assert os.environ["DOCKER_HOST"] == "tcp://127.0.0.1:9"
