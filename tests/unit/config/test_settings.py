"""Settings: default < file < variable < flag, and the winner can be named."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import settings
from harness.errors import UsageError


def write(root: Path, text: str) -> Path:
    (root / "pyproject.toml").write_text(text)
    return root


def test_each_source_wins_over_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, '[tool.infra-harness]\nready_timeout = "30s"\n')
    name = "ready_timeout"
    found = [
        settings.load({}, {}, tmp_path / "none"),
        settings.load({}, {}, tmp_path),
        settings.load({}, {"HARNESS_READY_TIMEOUT": "20s"}, tmp_path),
        settings.load({name: "10s"}, {"HARNESS_READY_TIMEOUT": "20s"}, tmp_path),
    ]
    assert [item[name] for item in found] == [60, 30, 20, 10]
    file = str(tmp_path / "pyproject.toml")
    assert [item.origin(name) for item in found] == ["default", file, "HARNESS_READY_TIMEOUT", "--ready-timeout"]


def test_file_values_may_be_lists_numbers_and_booleans(tmp_path: Path) -> None:
    write(tmp_path, '[tool.infra-harness]\ncompose = ["a.yml", "b.yml"]\nseed = 7\ngate = false\n')
    loaded = settings.load({}, {}, tmp_path)
    assert loaded["compose"] == (Path("a.yml"), Path("b.yml"))
    assert (loaded["seed"], loaded["gate"]) == (7, False)


def test_a_flag_given_twice_is_a_list(tmp_path: Path) -> None:
    assert settings.load({"compose": ["a.yml", "b.yml"]}, {}, tmp_path)["compose"] == (Path("a.yml"), Path("b.yml"))


def test_a_flag_that_was_not_given_does_not_count(tmp_path: Path) -> None:
    assert settings.load({"compose": [], "runtime": None}, {}, tmp_path).origin("compose") == "default"


def test_a_replaced_value_leaves_the_others_and_the_original(tmp_path: Path) -> None:
    first = settings.load({}, {}, tmp_path)
    second = first.with_value("seed", 5, "drawn")
    assert (first["seed"], second["seed"], second.origin("seed"), second["keep"]) == (None, 5, "drawn", "never")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("HARNESS_RUNTME", "unknown variable HARNESS_RUNTME; did you mean HARNESS_RUNTIME?"),
        ("HARNESS_X", "unknown variable HARNESS_X; known: HARNESS_COMPOSE"),
    ],
)
def test_an_unknown_variable_is_refused_with_a_hint(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings.load({}, {name: "1"}, tmp_path)
    assert told in str(caught.value)


def test_variables_between_parts_of_the_harness_are_not_refused(tmp_path: Path) -> None:
    assert settings.load({}, {"HARNESS_RUN_DIR": "/x", "OTHER": "1"}, tmp_path)["runtime"] == "auto"


@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        ({"runtime": "podman"}, {}, "--runtime='podman': expected one of auto, docker, process"),
        ({}, {"HARNESS_SEED": "x"}, "HARNESS_SEED='x': expected a whole number"),
        ({"ready_timeout": "nan"}, {}, "--ready-timeout='nan': expected a duration"),
        ({"binaries": "consul"}, {}, "--binaries='consul': expected KIND=PATH"),
    ],
)
def test_a_value_that_does_not_parse(
    tmp_path: Path, flags: dict[str, str], environment: dict[str, str], told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        settings.load(flags, environment, tmp_path)
    assert told in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tool.infra-harness]\nkep = 1\n", "unknown key 'kep' in [tool.infra-harness]; did you mean keep?"),
        ("[tool.infra-harness]\nkeep = 'no'\n", "keep='no': expected one of never"),
        ("[tool]\ninfra-harness = 3\n", "expected a table, found int"),
        ("[tool\n", "pyproject.toml"),
        ("\xff", "pyproject.toml"),
    ],
)
def test_a_bad_file_names_itself(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        settings.load({}, {}, tmp_path)
    assert told in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_file_about_other_things_is_no_matter(tmp_path: Path) -> None:
    assert settings.load({}, {}, write(tmp_path, "tool = 1\n"))["keep"] == "never"
