"""Sizes for people, and archives for sites without a network: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from requests import ReadTimeout

from harness.errors import ImageError, RuntimeUnavailable
from harness.runtimes.docker import images as subject
from harness.runtimes.docker.images import load, on_engine, save
from tests.unit.rigs.docker_rig import DIGEST, FakeEngine, refusal


def test_sizes_of_what_is_here(engine: FakeEngine) -> None:
    engine.image("a:1", size=5)
    engine.image("b:1", f"mirror.test/b@{DIGEST}", size=7)
    assert on_engine(["a:1", f"b:1@{DIGEST}", "c:1"]) == {"a:1": 5, f"b:1@{DIGEST}": 7}
    assert engine.clients == 0


def test_an_engine_that_fails_meanwhile_is_told(engine: FakeEngine) -> None:
    engine.refuse("images.get", ReadTimeout("Read timed out."))
    with pytest.raises(RuntimeUnavailable, match="docker engine: Read timed out"):
        on_engine(["a:1"])


def test_an_archive_is_written_whole(engine: FakeEngine, tmp_path: Path) -> None:
    engine.image("a:1")
    engine.image("b:1", f"mirror.test/b@{DIGEST}")
    assert save(["a:1", f"b:1@{DIGEST}"], tmp_path / "stack.tar") == len(b"archive")
    assert engine.asked("api.get") == ["a:1,b:1"]
    assert [file.name for file in tmp_path.iterdir()] == ["stack.tar"]
    assert engine.clients == 0


def test_an_image_that_is_not_here_cannot_be_saved(engine: FakeEngine, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="save: No such image: x") as refused:
        save(["a:1"], tmp_path / "stack.tar")
    assert "harness images pull" in refused.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_broke_off_is_not_kept(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(api: Any, images: list[str]) -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    engine.image("a:1")
    (tmp_path / "stack.tar").write_bytes(b"the one before")
    monkeypatch.setattr(subject, "_export", breaking)
    with pytest.raises(ImageError, match="No space left on device"):
        save(["a:1"], tmp_path / "stack.tar")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"the one before"]


@pytest.mark.parametrize(("place", "told"), [(".", "is a directory"), ("none/x.tar", "No such file or directory"),
                                             ("file/x.tar", "Not a directory")])  # fmt: skip
def test_a_place_that_cannot_be_written_is_told(engine: FakeEngine, tmp_path: Path, place: str, told: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match=told):
        save([], tmp_path / place)


def test_an_archive_is_loaded_and_its_names_told(engine: FakeEngine, tmp_path: Path) -> None:
    engine.image("a:1")
    (tmp_path / "stack.tar").write_text("archive")
    assert load(tmp_path / "stack.tar") == {"a:1": "sha256:id-a:1"}
    assert engine.asked("images.load") == ["archive"]


@pytest.mark.parametrize(
    ("error", "told"),
    [(ReadTimeout("Read timed out."), "Read timed out"), (refusal(400, "unexpected EOF"), "unexpected EOF")],
)
def test_an_archive_that_cannot_be_loaded_is_told(
    engine: FakeEngine, tmp_path: Path, error: Exception, told: str
) -> None:
    (tmp_path / "stack.tar").touch()
    engine.refuse("images.load", error)
    with pytest.raises(ImageError, match=told):
        load(tmp_path / "stack.tar")
    with pytest.raises(ImageError, match="No such file or directory"):
        load(tmp_path / "none.tar")
