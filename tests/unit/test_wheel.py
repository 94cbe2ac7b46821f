"""The wheel: everything that a project of somebody else's needs, and nothing of ours that it does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.unit.rigs.core_rig import ROOT

SOURCES = ("harness", "compose", "tests/infrastructure")
FILES = ("pyproject.toml", "README.md", "tests/packaged.ini")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy of what it is made of, so that nothing is left in the checkout."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-index", "--no-build-isolation", "-w", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next(target.glob("*.whl")))


def written(folder: str) -> set[str]:
    """Every file under a folder of the checkout, relative to it."""
    files = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT / folder)) for path in files}


def packed(wheel: zipfile.ZipFile, folder: str) -> set[str]:
    return {name.removeprefix(f"{folder}/") for name in wheel.namelist() if name.startswith(f"{folder}/")}


def test_the_whole_package_is_in_it_and_is_typed(wheel: zipfile.ZipFile) -> None:
    assert written("harness") <= packed(wheel, "harness")
    assert "harness/py.typed" in wheel.namelist()


def test_the_stack_of_projects_without_one_is_in_it(wheel: zipfile.ZipFile) -> None:
    assert packed(wheel, "harness/_compose") == written("compose")
    assert "harness/_compose/stack.yml" in wheel.namelist()
    assert "harness/_compose/config/redis/redis.conf" in wheel.namelist()


def test_the_tests_that_are_safe_on_a_live_system_are_in_it(wheel: zipfile.ZipFile) -> None:
    assert packed(wheel, "harness/_tests/infrastructure") == written("tests/infrastructure")
    marked = [
        name
        for name in wheel.namelist()
        if name.startswith("harness/_tests/") and b"pytest.mark.smoke" in wheel.read(name)
    ]
    assert marked
    assert "harness/_tests/packaged.ini" in wheel.namelist()


def test_nothing_else_is_in_it(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"harness"}
    allowed = written("harness") | {f"_compose/{name}" for name in written("compose")}
    others = packed(wheel, "harness") - allowed - {"_tests/packaged.ini"}
    assert {name for name in others if not name.startswith("_tests/infrastructure/")} == set()
    assert [name for name in wheel.namelist() if name.endswith((".pyc", ".log", ".jsonl"))] == []


def test_a_command_and_a_pytest_plugin_are_declared(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    told = wheel.read(name).decode()
    assert "[console_scripts]\nharness = harness.cli.main:main" in told
    assert "[pytest11]\ninfra-harness = harness.pytest_plugin.plugin" in told


def test_its_metadata_names_the_pythons_and_the_extra_with_a_redis(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    told = wheel.read(name).decode()
    assert "Requires-Python: <3.14,>=3.11" in told
    assert "Provides-Extra: embedded" in told


def test_a_checkout_has_them_where_they_are_written() -> None:
    from harness.config import packaged

    assert packaged.stack_file() == ROOT / "compose/stack.yml"
    assert packaged.infrastructure_tests() == ROOT / "tests/infrastructure"
    assert packaged.pytest_settings().is_file()


@pytest.mark.parametrize("given", [{}, {"compose": "mine.yml"}])
def test_the_packaged_stack_stands_in_for_a_missing_default_only(tmp_path: Path, given: dict[str, str]) -> None:
    from harness import app
    from harness.config import packaged

    settings = app.load_settings(given, tmp_path)
    expected = (Path("mine.yml"),) if given else (packaged.stack_file(),)
    assert settings["compose"] == expected
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose/stack.yml").touch()
    assert app.load_settings({}, tmp_path)["compose"] == (Path("compose/stack.yml"),)
