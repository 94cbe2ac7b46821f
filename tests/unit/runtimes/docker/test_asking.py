"""What `auto` is told about containers here, in a few seconds and without raising; having all images at once."""

from __future__ import annotations

import pytest
from docker.errors import DockerException
from requests import ReadTimeout

from harness.errors import ImageError, RuntimeUnavailable
from harness.runtimes.docker.asking import have_images, why_not
from tests.unit.rigs.docker_rig import DIGEST, OTHER_DIGEST, FakeEngine, no_sleep, refusal

ONE = {"redis:8": ("mirror.test/library/redis:8", "redis:8")}
LOCKED = {"redis:8": (f"redis:8@{DIGEST}",)}


def test_an_engine_with_every_image_is_no_obstacle(engine: FakeEngine) -> None:
    engine.image("redis:8")
    assert why_not(ONE, "never", {}) == ""
    assert engine.clients == 0


def test_an_engine_that_does_not_answer_is_one(engine: FakeEngine) -> None:
    engine.refuse("connect", DockerException("No such file or directory"))
    assert "does not answer: No such file or directory" in why_not(ONE, "missing", {})


def test_an_engine_that_stops_answering_is_one_too(engine: FakeEngine) -> None:
    engine.refuse("images.get", ReadTimeout("Read timed out."))
    assert why_not(ONE, "missing", {}) == "the engine does not say which images it has: Read timed out."
    assert engine.clients == 0


def test_a_missing_image_is_an_obstacle_when_nothing_may_be_pulled(engine: FakeEngine) -> None:
    assert why_not(ONE, "never", {}) == "the engine has no image redis:8, and --pull is never"


def test_another_digest_than_the_locked_one_is_a_missing_image(engine: FakeEngine) -> None:
    engine.image("redis:8", f"redis@{OTHER_DIGEST}")
    assert "has no image redis:8" in why_not(LOCKED, "never", {})
    engine.image("redis:8", f"redis@{DIGEST}")
    assert why_not(LOCKED, "never", {}) == ""


def test_a_loaded_image_has_no_digest_and_is_the_locked_one_by_its_id(engine: FakeEngine) -> None:
    identity = engine.image("redis:8").id
    assert why_not(LOCKED, "never", {"redis:8": ("sha256:arm", identity)}) == ""
    have_images(LOCKED, "never", lambda line: None, {"redis:8": ("sha256:arm", identity)})
    with pytest.raises(ImageError, match="redis:8 is not on the engine as the lock has it, but another"):
        have_images(LOCKED, "never", lambda line: None, {"redis:8": ("sha256:arm",)})


def test_a_missing_image_is_none_when_any_place_offers_it(engine: FakeEngine) -> None:
    engine.registry["redis:8"] = []
    assert why_not(ONE, "missing", {}) == ""
    assert engine.asked("api.inspect_distribution") == ["mirror.test/library/redis:8", "redis:8"]
    assert engine.clients == 0


def test_the_last_places_refusal_is_told(engine: FakeEngine) -> None:
    engine.registry["redis:8"] = refusal(500, "dial tcp: lookup registry-1.docker.io: no such host")
    assert why_not(ONE, "missing", {}) == "image redis:8: the registry cannot be reached"


def test_every_image_is_had(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    no_sleep(monkeypatch, "harness.runtimes.docker.images")
    monkeypatch.setattr("harness.runtimes.docker.images.describe", _untold)
    engine.image("redis:8")
    engine.registry["tempo:3"] = []
    lines: list[str] = []
    have_images({**ONE, "tempo:3": ("tempo:3",)}, "missing", lines.append, {})
    assert engine.asked("api.pull") == ["tempo:3"]
    assert lines
    assert engine.clients == 0


def _untold(place: str) -> None:
    raise RuntimeUnavailable("not told")


@pytest.mark.parametrize("error", [ReadTimeout("Read timed out."), refusal(500, "layer does not exist")])
def test_an_engine_that_fails_is_an_image_that_cannot_be_had(engine: FakeEngine, error: Exception) -> None:
    engine.refuse("images.get", error)
    with pytest.raises(ImageError, match=r"image redis:8: (Read timed out|layer does not exist)"):
        have_images(ONE, "never", lambda line: None, {})
    assert engine.clients == 0
