"""Asking a registry: a small one of HTTP answers in the test, with its challenges, indexes and refusals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RuntimeUnavailable
from harness.runtimes import registry
from harness.runtimes.registry import Described, Lock, describe, write_lock
from tests.unit.rigs.registry_rig import LOGIN, RegistryScript, helper, logged_in, manifest, registry_server

BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryScript]:
    """A registry, and a home without logins."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with registry_server() as script:
        yield script


def test_an_image_of_one_architecture_has_one_size(served: RegistryScript) -> None:
    served.put("a/b", "1", manifest(100, 20, 3))
    found = describe(f"{served.host}/a/b:1")
    assert found == Described(f"{served.host}/a/b:1", served.digest("a/b", "1"), {"": 123}, False)


def test_an_index_has_a_size_per_architecture_and_attestations_are_none(served: RegistryScript) -> None:
    served.put_index("a/b", "1", {"linux/amd64": 100, "linux/arm64": 90, "unknown/unknown": 1})
    found = describe(f"{served.host}/a/b:1")
    assert found.is_index
    assert found.sizes == {"linux/amd64": 100, "linux/arm64": 90}
    assert found.digest == served.digest("a/b", "1")


def test_the_id_that_an_engine_gives_an_image_is_its_configurations_digest(served: RegistryScript) -> None:
    """Source: OCI image specification, "ImageID"."""
    served.put("a", "1", {"layers": [{"size": 2}], "config": {"size": 1, "digest": "sha256:c0"}})
    assert describe(f"{served.host}/a:1").ids == {"": "sha256:c0"}
    of_amd = served.put("b", "amd", {"layers": [], "config": {"size": 1, "digest": "sha256:a0"}})
    platform = {"os": "linux", "architecture": "amd64"}
    served.put("b", "1", {"manifests": [{"digest": of_amd, "platform": platform}]})
    assert describe(f"{served.host}/b:1").ids == {"linux/amd64": "sha256:a0"}


def test_a_digest_that_is_not_told_is_counted(served: RegistryScript) -> None:
    served.tells_digest = False
    served.put("a", "1", manifest(1))
    assert describe(f"{served.host}/a:1").digest == "sha256:" + hashlib.sha256(served.body("a", "1")).hexdigest()


def test_an_image_by_digest_is_asked_for_by_it(served: RegistryScript) -> None:
    served.put("a", "1", manifest(7))
    assert describe(f"{served.host}/a:9@{served.digest('a', '1')}").sizes == {"": 7}


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_a_token_challenge_is_followed_once_for_all_manifests(served: RegistryScript, key: str) -> None:
    served.challenge, served.token_key = "bearer", key
    served.put_index("a/b", "1", {"linux/amd64": 1, "linux/arm64": 2})
    assert describe(f"{served.host}/a/b:1").sizes == {"linux/amd64": 1, "linux/arm64": 2}
    assert len(served.tokens) == 1
    assert served.tokens[0] == {"service": "unit", "scope": "repository:a/b:pull"}


def test_basic_credentials_are_those_of_docker_login(served: RegistryScript, tmp_path: Path) -> None:
    served.challenge = "basic"
    served.put("a", "1", manifest(5))
    logged_in(tmp_path, served.host, "https://")
    assert describe(f"{served.host}/a:1").sizes == {"": 5}


def test_a_login_is_shown_to_the_token_server_only(served: RegistryScript, tmp_path: Path) -> None:
    served.challenge, served.token_needs_login = "bearer", True
    served.put("a", "1", manifest(5))
    logged_in(tmp_path, served.host)
    assert describe(f"{served.host}/a:1").sizes == {"": 5}
    assert not [said for said in served.authorisations if said.startswith("Basic")]


def test_netrc_and_proxies_of_the_environment_change_nothing_on_loopback(
    served: RegistryScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login wrong password wrong\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    served.challenge = "bearer"
    served.put("a", "1", manifest(5))
    assert describe(f"{served.host}/a:1").sizes == {"": 5}


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]},
         "HTTP 401 authentication required"),
        (404, {"errors": [{"code": "MANIFEST_UNKNOWN"}]}, "HTTP 404 MANIFEST_UNKNOWN"),
        (429, {"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}, "HTTP 429 slow down"),
        (500, "<html>", "HTTP 500 Internal Server Error"),
        (503, {"errors": "none"}, "HTTP 503 Service Unavailable"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_the_registrys_own_words(
    served: RegistryScript, status: int, body: Any, told: str
) -> None:
    served.answer = (status, body)
    with pytest.raises(RuntimeUnavailable, match=told):
        describe(f"{served.host}/a:1")


@pytest.mark.parametrize("challenge", ["digest", "bearer-without-realm", "basic", "bearer-refused", "bearer-html"])
def test_a_challenge_that_cannot_be_met_is_a_refusal(served: RegistryScript, challenge: str) -> None:
    served.challenge = challenge
    served.put("a", "1", manifest(5))
    told = "does not answer in JSON" if challenge == "bearer-html" else "HTTP 40[13]"
    with pytest.raises(RuntimeUnavailable, match=told):
        describe(f"{served.host}/a:1")


@pytest.mark.parametrize(
    "body",
    ["<html>log in to the hotel's network</html>", [], {"manifests": [{"platform": {"os": "linux"}}]},
     {"layers": [{"size": "much"}]}],
)  # fmt: skip
def test_what_is_no_manifest_is_told_as_such(served: RegistryScript, body: Any) -> None:
    served.answer = (200, body)
    with pytest.raises(RuntimeUnavailable, match="what came is no manifest"):
        describe(f"{served.host}/a:1")


def test_a_registry_that_is_not_there_is_told_as_unreachable() -> None:
    with pytest.raises(RuntimeUnavailable, match="cannot be reached"):
        describe("127.0.0.1:9/a:1")


@pytest.mark.parametrize(
    ("host", "scheme"),
    [("localhost", "http"), ("127.0.0.1:5000", "http"), ("127.1.2.3", "http"), ("[::1]", "http"),
     ("[::1]:5000", "http"), ("quay.io", "https"), ("r.test:5000", "https")],
)  # fmt: skip
def test_only_loopback_is_spoken_to_without_tls(host: str, scheme: str) -> None:
    assert registry._scheme(host) == scheme


def test_a_login_of_a_helper_is_shown_like_any_other(
    served: RegistryScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.challenge = "basic"
    served.put("a", "1", manifest(5))
    helper(tmp_path, monkeypatch, "own", json.dumps({"Username": LOGIN[0], "Secret": LOGIN[1]}))
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {served.host: "own"}}))
    assert describe(f"{served.host}/a:1").sizes == {"": 5}


def test_a_helper_is_not_asked_where_no_login_is_needed(served: RegistryScript, tmp_path: Path) -> None:
    served.put("a", "1", manifest(5))
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "absent"}))
    assert describe(f"{served.host}/a:1").sizes == {"": 5}
    served.challenge = "basic"
    with pytest.raises(RuntimeUnavailable, match="no docker-credential-absent on PATH"):
        describe(f"{served.host}/a:1")


# -- the lock file ------------------------------------------------------------------------------------------------


def test_a_lock_that_was_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "images.lock.json"
    ids = {"linux/amd64": "sha256:a0", "linux/arm64": "sha256:a1"}
    write_lock(file, [Described("redis:8", "sha256:ab", {"linux/amd64": 1, "linux/arm64": 2}, True, ids)], BOTH)
    lock = Lock.read(file)
    assert lock.ids == {"redis:8": ("sha256:a0", "sha256:a1")}
    assert lock.locked("redis:8") == "redis:8@sha256:ab"
    assert lock.locked("redis:9") == "redis:9"
    assert lock.locked("redis:8@sha256:cd") == "redis:8@sha256:cd"


@pytest.mark.parametrize(
    ("described", "told"),
    [
        (Described("a:1", "sha256:ab", {"linux/amd64": 1}, True), "image a:1: lacks linux/arm64"),
        (Described("a:1", "sha256:ab", {"": 1}, False), "image a:1: lacks an index over architectures"),
    ],
)
def test_an_image_that_is_not_built_for_all_is_not_locked(tmp_path: Path, described: Described, told: str) -> None:
    good = Described("b:1", "sha256:cd", dict.fromkeys(BOTH, 1), True)
    with pytest.raises(RuntimeUnavailable, match=told):
        write_lock(tmp_path / "lock", [good, described], BOTH)
    assert not (tmp_path / "lock").exists()


def test_a_lock_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="No such file or directory"):
        write_lock(tmp_path / "none" / "lock", [], BOTH)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": []}', '{"images": {"a": {}}}', '{"images": {"a": "b"}}'])
def test_a_broken_lock_is_told_and_an_absent_one_locks_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "lock"
    assert Lock.read(file).digests == {}
    file.write_text(text)
    with pytest.raises(RuntimeUnavailable, match="write it anew"):
        Lock.read(file)
