"""Which runtime a run takes: an explicit choice never degrades, `auto` says why, CI is not given processes silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.config.settings import Settings, load
from harness.errors import PlanError, RuntimeUnavailable, UsageError
from harness.model import RuntimeName
from harness.runtimes import choice
from harness.runtimes.choice import choose_runtime, find_binaries, refuse_engines_without_containers
from tests.unit.rigs.core_rig import service

IMAGES = {"redis:8": ("redis:8",)}


def settings(tmp_path: Path, **flags: Any) -> Settings:
    return load(flags, {}, tmp_path)


@pytest.fixture
def obstacle(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why there is no docker; nothing when it is emptied."""
    words = ["the engine is on strike"]
    monkeypatch.setattr(choice, "_no_docker", lambda settings, images, ids: "".join(words))
    return words


def test_what_is_asked_for_is_taken_whatever_is_here(tmp_path: Path, obstacle: list[str]) -> None:
    chosen = choose_runtime(settings(tmp_path, runtime="docker"), IMAGES, {})
    assert (chosen.runtime, chosen.reason) == (RuntimeName.DOCKER, "asked for by --runtime")


def test_engines_that_are_named_run_containers_whatever_is_here(tmp_path: Path, obstacle: list[str]) -> None:
    two = "unix:///a.sock,tcp://127.0.0.1:1"
    for flags in ({"engines": two}, {"engines": two, "runtime": "docker"}):
        chosen = choose_runtime(settings(tmp_path, **flags), IMAGES, {})
        assert (chosen.runtime, chosen.reason) == (RuntimeName.DOCKER, "2 engines by --engines")
    one = choose_runtime(settings(tmp_path, engines="unix:///a.sock"), IMAGES, {})
    assert one.reason == "1 engine by --engines"


@pytest.mark.parametrize("runtime", ["process", "external"])
def test_engines_for_a_runtime_that_has_none_are_refused(tmp_path: Path, runtime: str) -> None:
    with pytest.raises(UsageError, match=f"engines by --engines, and runtime {runtime} by --runtime: expected runtime"):
        refuse_engines_without_containers(settings(tmp_path, engines="unix:///a.sock", runtime=runtime))


def test_an_engine_on_another_machine_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = "tcp://203.0.113.5:2375"
    with pytest.raises(RuntimeUnavailable, match="is on another machine"):
        choose_runtime(settings(tmp_path, engines=f"unix:///a.sock,{far}"), IMAGES, {})
    monkeypatch.setenv("DOCKER_HOST", far)
    with pytest.raises(RuntimeUnavailable, match="is on another machine"):
        choose_runtime(settings(tmp_path, runtime="docker"), IMAGES, {})


def test_auto_takes_containers_where_they_can_be_had(tmp_path: Path, obstacle: list[str]) -> None:
    obstacle.clear()
    assert choose_runtime(settings(tmp_path), IMAGES, {}).runtime is RuntimeName.DOCKER


def test_auto_falls_back_and_says_why(tmp_path: Path, obstacle: list[str]) -> None:
    chosen = choose_runtime(settings(tmp_path), IMAGES, {})
    assert (chosen.runtime, chosen.reason) == (RuntimeName.PROCESS, "auto: the engine is on strike")


def test_in_ci_auto_falls_back_only_when_allowed_by_name(
    tmp_path: Path, obstacle: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(RuntimeUnavailable, match=r"does not fall back to processes: the engine is on strike"):
        choose_runtime(settings(tmp_path), IMAGES, {})
    allowed = choose_runtime(settings(tmp_path, allow_degrade="true"), IMAGES, {})
    assert allowed.runtime is RuntimeName.PROCESS


def test_without_a_socket_and_docker_host_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert choice._no_docker(settings(tmp_path), IMAGES, {}).startswith("no docker engine: no DOCKER_HOST")


def test_an_engine_that_is_named_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert "docker engine at tcp://127.0.0.1:1 does not answer" in choice._no_docker(settings(tmp_path), IMAGES, {})


def test_binaries_are_found_for_kinds_only(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'Redis server v=7.0.15 sha=0'\n")
    program.chmod(0o755)
    services = {"cache": service("cache", kind="redis"), "app": service("app")}
    found = find_binaries(settings(tmp_path, binaries=f"redis={program}"), services)
    assert found.keys() == {"cache"}
    assert found["cache"] is not None
    with pytest.raises(PlanError, match="unknown kind 'reddis'"):
        find_binaries(settings(tmp_path, binaries="reddis=/x"), services)


def test_an_emulator_can_be_asked_for_although_a_real_server_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'Redis server v=7.0.15 sha=0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    services = {"cache": service("cache", kind="redis")}
    assert find_binaries(settings(tmp_path), services)["cache"] is not None
    assert find_binaries(settings(tmp_path, binaries="redis=emulator"), services) == {"cache": None}
