"""Where a registry's login comes from: docker's configuration file, or a credential helper, played by a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RuntimeUnavailable
from harness.runtimes import logins
from harness.runtimes.logins import stored_login
from tests.unit.rigs.registry_rig import LOGIN, helper, logged_in

ANSWER = json.dumps({"ServerURL": "x", "Username": "bob", "Secret": "hush"})


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def configured(directory: Path, **data: Any) -> None:
    (directory / "config.json").write_text(json.dumps(data))


# -- in the file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "[]", '{"auths": []}', '{"auths": {"quay.io": null}}', '{"auths": {"quay.io": {"auth": "!"}}}',
             '{"auths": {"quay.io": {}}}', '{"credHelpers": []}', '{"credsStore": ""}'],
)  # fmt: skip
def test_a_login_that_cannot_be_read_is_none(docker_config: Path, text: str) -> None:
    (docker_config / "config.json").write_text(text)
    assert stored_login("quay.io") is None


def test_docker_hubs_login_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert stored_login("docker.io") is None
    (tmp_path / ".docker").mkdir()
    logged_in(tmp_path / ".docker", "index.docker.io/v1/", "https://")
    assert stored_login("docker.io") == LOGIN
    assert stored_login("quay.io") is None


# -- with a helper ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "host", "question"),
    [
        ({"credsStore": "mine"}, "quay.io", "get quay.io"),
        ({"credsStore": "mine"}, "docker.io", "get https://index.docker.io/v1/"),
        ({"credsStore": "other", "credHelpers": {"r.test:5000": "mine"}}, "r.test:5000", "get r.test:5000"),
        ({"credHelpers": {"https://index.docker.io/v1/": "mine"}}, "docker.io", "get https://index.docker.io/v1/"),
        ({"credHelpers": {"index.docker.io": "mine"}}, "docker.io", "get https://index.docker.io/v1/"),
    ],
)
def test_a_helper_is_asked_as_docker_asks_it(
    docker_config: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], host: str, question: str
) -> None:
    asked = helper(docker_config, monkeypatch, "mine", ANSWER)
    configured(docker_config, auths={"quay.io": {}, host: {"auth": "b2xkOm9sZA=="}}, **data)
    assert stored_login(host) == ("bob", "hush")
    assert asked.read_text() == question


def test_a_helper_of_one_registry_is_not_asked_for_another(docker_config: Path) -> None:
    configured(docker_config, credHelpers={"r.test": "absent"}, auths={"quay.io": {"auth": "b2xkOm9sZA=="}})
    assert stored_login("quay.io") == ("old", "old")


def test_where_the_helper_has_nothing_nobody_logged_in(docker_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(docker_config, monkeypatch, "mine", "credentials not found in native keychain", code=1)
    configured(docker_config, credsStore="mine")
    assert stored_login("quay.io") is None
    helper(docker_config, monkeypatch, "mine", json.dumps({"Username": "", "Secret": ""}))
    assert stored_login("quay.io") is None


@pytest.mark.parametrize(
    ("prints", "code", "told"),
    [
        ("the keychain is locked", 1, "docker-credential-mine: the keychain is locked"),
        ("", 3, "docker-credential-mine: exit code 3"),
        ("hush, not JSON", 0, "docker-credential-mine: what it printed is no login"),
        ("[]", 0, "what it printed is no login"),
        (json.dumps({"Username": "<token>", "Secret": "hush"}), 0, "has an identity token"),
    ],
)
def test_a_helper_that_fails_is_told_without_what_it_keeps(
    docker_config: Path, monkeypatch: pytest.MonkeyPatch, prints: str, code: int, told: str
) -> None:
    helper(docker_config, monkeypatch, "mine", prints, code)
    configured(docker_config, credsStore="mine")
    with pytest.raises(RuntimeUnavailable, match=f"login for quay.io: .*{told}") as caught:
        stored_login("quay.io")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["absent", "../../tmp/evil", "two words"])
def test_a_helper_that_is_not_there_is_told(docker_config: Path, name: str) -> None:
    configured(docker_config, credsStore=name)
    with pytest.raises(RuntimeUnavailable, match=r"no docker-credential-.* on PATH"):
        stored_login("quay.io")


def test_a_helper_that_hangs_is_ended(docker_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(docker_config, monkeypatch, "mine", "")
    (docker_config / "docker-credential-mine").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(logins, "HELPER_SECONDS", 0.2)
    configured(docker_config, credsStore="mine")
    with pytest.raises(RuntimeUnavailable, match="docker-credential-mine: TimeoutExpired"):
        stored_login("quay.io")
