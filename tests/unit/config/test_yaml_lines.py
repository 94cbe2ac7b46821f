"""YAML with line numbers: every error names the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.yaml_lines import load
from harness.errors import ComposeError


def write(directory: Path, text: str) -> Path:
    file = directory / "c.yml"
    file.write_text(text)
    return file


def test_every_key_and_item_has_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, "a:\n  b: 1\n  c:\n    - x\n    - y: 2\n")
    found = load(file)
    assert found.data == {"a": {"b": 1, "c": ["x", {"y": 2}]}}
    assert found.where(("a", "b")) == f"{file}:2"
    assert found.where(("a", "c", 1, "y")) == f"{file}:5"


def test_the_deepest_known_place_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "a:\n  b: 1\n")
    assert load(file).where(("a", "zz", 3)) == f"{file}:1"
    assert load(file).where(("zz",)) == str(file)
    assert load(file).where(()) == str(file)


def test_an_alias_to_its_own_parent_ends(tmp_path: Path) -> None:
    assert "a" in load(write(tmp_path, "a: &x\n  b: *x\n")).data


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1\n", "not YAML: line 2: "),
        ("a: 1\n b: 2\n", "not YAML: line 2: "),
        ("- 1\n", "expected a mapping at the top, found list"),
        ("", "expected a mapping at the top, found NoneType"),
        ("a: 1\nb: 2\na: 3\n", ":3: a: given twice, first on line 1"),
        ("a: 2020-99-99\n", "not YAML: "),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ComposeError) as caught:
        load(write(tmp_path, text))
    assert told in str(caught.value)
    assert "c.yml" in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="No such file") as caught:
        load(tmp_path / "none.yml")
    assert "--compose" in caught.value.next_step
    with pytest.raises(ComposeError, match="Is a directory"):
        load(tmp_path)
    (tmp_path / "b.yml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ComposeError, match=r"b\.yml: .*utf-8"):
        load(tmp_path / "b.yml")
