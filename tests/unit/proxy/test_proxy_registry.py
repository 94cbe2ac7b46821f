"""Guards: every toxic is in its tuple, named as its file; nothing imports what it must not know."""

from __future__ import annotations

import ast
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from harness.proxy import toxics
from harness.proxy.toxics import TOXICS

TOXIC_FILES = sorted(path for path in Path(toxics.__file__).parent.glob("*.py") if path.stem != "__init__")
PROXY_FILES = sorted(Path(toxics.__file__).parent.parent.glob("*.py"))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.split(".")[0] == "harness"}


def test_every_file_is_a_toxic_and_every_toxic_a_file() -> None:
    assert sorted(toxic.NAME for toxic in TOXICS) == [path.stem for path in TOXIC_FILES]
    assert {toxic.__module__.rpartition(".")[2] for toxic in TOXICS} == {path.stem for path in TOXIC_FILES}


@pytest.mark.parametrize("toxic", TOXICS, ids=lambda toxic: str(toxic.NAME))
def test_a_toxic_is_a_frozen_dataclass_of_whole_numbers(toxic: Any) -> None:
    settings = toxic(average_size=1) if toxic.NAME == "slicer" else toxic()
    with pytest.raises(FrozenInstanceError):
        setattr(settings, fields(toxic)[0].name, 5)
    assert {str(field.type) for field in fields(toxic)} == {"int"}


@pytest.mark.parametrize("path", TOXIC_FILES, ids=lambda path: str(path.stem))
def test_a_toxic_knows_the_stream_and_nothing_else(path: Path) -> None:
    assert imported(path) == {"harness.proxy.stream"}
    assert 20 <= len(path.read_text(encoding="utf-8").splitlines()) <= 85


@pytest.mark.parametrize("path", PROXY_FILES, ids=lambda path: str(path.stem))
def test_the_proxy_imports_nothing_else_of_the_harness(path: Path) -> None:
    names = imported(path)
    assert all(name.startswith("harness.proxy") for name in names)
    concrete = {name for name in names if name.startswith("harness.proxy.toxics.")}
    assert not concrete, "the engine names a concrete toxic"
