"""No file is forgotten: every module of a folder of plug-ins stands in the folder's tuple, and the reverse."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from harness.cli.main import VERBS, load_verb
from harness.config.options import OPTIONS
from harness.pytest_plugin.layers import LAYERS
from harness.runtimes import RUNTIMES
from harness.services import SERVICES
from harness.services.base import Kind
from tests.unit.rigs.core_rig import HARNESS, ROOT


def modules(folder: str) -> set[str]:
    return {path.stem for path in (HARNESS / folder).glob("*.py")} - {"__init__"}


def test_every_kind_of_service_is_registered() -> None:
    helpers = {"base", "http_session"} | {name for name in modules("services") if name.endswith("_client")}
    assert {type(kind).__module__.rpartition(".")[2] for kind in SERVICES} == modules("services") - helpers
    assert [kind.name for kind in SERVICES] == [type(kind).__module__.rpartition(".")[2] for kind in SERVICES]


def test_no_kind_hides_in_a_file_of_another() -> None:
    assert {type(kind) for kind in SERVICES} == set(Kind.__subclasses__())


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.name)
def test_a_kind_declares_everything(kind: Kind) -> None:
    assert kind.fixture.isidentifier()
    assert kind.images
    assert kind.programs
    assert kind.ports
    assert kind.facts.licence
    assert kind.facts.source.startswith("https://")
    assert len({port.name for port in (*kind.ports, *kind.process_ports)}) == len(kind.ports) + len(kind.process_ports)


def test_names_fixtures_and_images_are_nobody_elses() -> None:
    for names in ([kind.name for kind in SERVICES], [kind.fixture for kind in SERVICES]):
        assert len(set(names)) == len(names)
    images = [image for kind in SERVICES for image in kind.images]
    assert len(set(images)) == len(images)


def test_every_verb_is_registered() -> None:
    helpers = {"main", "verb", "progress", "stack_table", "pytest_session", "smoke_page", "nightly_report", "stacks"}
    assert {name for name, _ in VERBS} == modules("cli") - helpers
    assert all(load_verb(name).run is not None for name, _ in VERBS)


def test_every_runtime_is_registered() -> None:
    """A runtime is a class that says so by its name; what other files of the folder hold helps one."""
    found = re.compile(r"^class (\w+Runtime)\b", re.MULTILINE)
    classes = {name for path in (HARNESS / "runtimes").rglob("*.py") for name in found.findall(path.read_text())}
    assert classes == {where.partition(":")[2] for _, where in RUNTIMES}


@pytest.mark.parametrize("where", [where for _, where in RUNTIMES])
def test_a_registered_runtime_is_there(where: str) -> None:
    module, _, attribute = where.partition(":")
    path = HARNESS.parent / (module.replace(".", "/") + ".py")
    if not path.exists():
        pytest.skip(f"{path.name} of {module} is not written yet")
    assert hasattr(import_module(module), attribute)


def test_every_folder_of_tests_has_a_layer() -> None:
    folders = {path.name for path in (ROOT / "tests/infrastructure").iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders <= {folder for layer in LAYERS for folder in layer.folders}


def test_every_option_has_its_line_in_the_reference() -> None:
    page = ROOT / "docs" / "reference.md"
    if not page.exists():
        pytest.skip("docs/reference.md is not written yet")
    text = page.read_text(encoding="utf-8")
    assert [option.flag for option in OPTIONS if option.flag not in text or option.variable not in text] == []


def test_every_unit_test_folder_mirrors_one_of_the_harness() -> None:
    folders = {path.name for path in Path(ROOT, "tests/unit").iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders - {"guards", "rigs"} <= {path.name for path in HARNESS.iterdir() if path.is_dir()}
