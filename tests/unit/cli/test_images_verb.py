"""`harness images`, against an engine of a few dictionaries: what it prints, what it asks, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import images as subject
from harness.cli.main import main
from harness.errors import RuntimeUnavailable
from harness.runtimes.registry import Described
from tests.unit.rigs.docker_rig import DIGEST, FakeEngine, no_sleep

COMPOSE = """\
services:
  redis: {image: "redis:8.6.3"}
  arangodb: {image: "arangodb:3.12.10", environment: {ARANGO_ROOT_PASSWORD: x}}
  app: {image: "corp.test/app:1"}
"""


@pytest.fixture
def engine(state: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A project with three services, and an engine that has the first one's image."""
    (state / "compose").mkdir()
    (state / "compose" / "stack.yml").write_text(COMPOSE)
    monkeypatch.chdir(state)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("harness.runtimes.docker.images.describe", _untold)
    no_sleep(monkeypatch, "harness.runtimes.docker.images")
    made = FakeEngine().install(monkeypatch)
    made.image("redis:8.6.3", size=41_000_000)
    return made


def _untold(place: str) -> Described:
    raise RuntimeUnavailable(f"registry: {place}: HTTP 404 not found")


def test_list_tells_size_and_licence(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "list"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "41 MB" in rows["redis"]
    assert " no " in rows["arangodb"]
    assert "Community" in rows["arangodb"]
    assert "see the image" in rows["app"]


def test_pull_has_all_of_them_from_wherever_they_are(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_PULL", "never")  # pulling is what the verb is for
    engine.registry = {"mirror.test/library/arangodb:3.12.10": [], "other.test/app:1": []}
    assert main(["images", "pull", "--mirror", "mirror.test", "--images", "corp.test/app=other.test/app"]) == 0
    assert "3 images are on the engine" in capsys.readouterr().out
    assert sorted(engine.asked("api.pull")) == ["mirror.test/library/arangodb:3.12.10", "other.test/app:1"]
    assert {"arangodb:3.12.10", "corp.test/app:1"} <= engine.images.keys()


def test_an_image_that_is_nowhere_is_exit_code_7(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "pull"]) == 7
    assert "there is no such image" in capsys.readouterr().err


def test_save_and_load_carry_the_stack(engine: FakeEngine, capsys: pytest.CaptureFixture[str], state: Path) -> None:
    engine.image("arangodb:3.12.10")
    engine.image("corp.test/app:1")
    assert main(["images", "save", "stack.tar"]) == 0
    assert "stack.tar: 3 images" in capsys.readouterr().out
    assert main(["images", "load", "stack.tar"]) == 0
    told = [f"{name}: not locked" for name in ("redis:8.6.3", "arangodb:3.12.10", "corp.test/app:1")]
    assert capsys.readouterr().out.splitlines() == told


def test_what_is_loaded_is_held_against_the_lock(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    good, bad = engine.image("redis:8.6.3"), engine.image("arangodb:3.12.10")
    assert good.id != bad.id
    (state / "stack.tar").write_text("archive")
    entry = {"digest": DIGEST, "ids": {"linux/amd64": good.id}}
    (state / "compose" / "images.lock.json").write_text(json.dumps({"images": {good.name: entry, bad.name: entry}}))
    assert main(["images", "load", "stack.tar"]) == 0
    assert capsys.readouterr().out.splitlines() == ["redis:8.6.3: as locked", "arangodb:3.12.10: NOT the locked one"]


@pytest.mark.parametrize("action", ["save", "load"])
def test_an_archive_has_to_be_named(engine: FakeEngine, capsys: pytest.CaptureFixture[str], action: str) -> None:
    assert main(["images", action]) == 2
    assert f"harness images {action}: expected a FILE" in capsys.readouterr().err


def test_lock_writes_digests_and_asks_a_mirror_first(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def describe(place: str) -> Described:
        asked.append(place)
        if place == "mirror.test/library/redis:8.6.3":
            raise RuntimeUnavailable("stale")
        return Described(place, DIGEST, dict.fromkeys(subject.PLATFORMS, 1), True)

    monkeypatch.setattr("harness.runtimes.registry.describe", describe)
    assert main(["images", "lock", "--mirror", "mirror.test"]) == 0
    assert "compose/images.lock.json: 3 images" in capsys.readouterr().out
    locked = json.loads((state / "compose" / "images.lock.json").read_text())["images"]
    assert locked.keys() == {"redis:8.6.3", "arangodb:3.12.10", "corp.test/app:1"}
    assert asked == ["mirror.test/library/arangodb:3.12.10", "corp.test/app:1", "mirror.test/library/redis:8.6.3",
                     "redis:8.6.3"]  # fmt: skip


def test_an_image_without_arm64_is_not_locked(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "harness.runtimes.registry.describe", lambda place: Described(place, DIGEST, {"linux/amd64": 1}, True)
    )
    assert main(["images", "lock"]) == 7
    assert "lacks linux/arm64" in capsys.readouterr().err
    assert not (state / "compose" / "images.lock.json").exists()


def test_an_image_that_no_registry_knows_is_not_locked(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.runtimes.registry.describe", _untold)
    assert main(["images", "lock"]) == 7
    assert "HTTP 404 not found" in capsys.readouterr().err
