"""The stand-in images of compose/offline/, held against what is known of the official ones. No engine is needed."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from harness.config import compose
from harness.model import ServicePlan
from harness.services import SERVICES, kind_named, kind_of_image
from harness.services.base import Kind
from tests.unit.rigs.core_rig import ROOT

COMPOSE = ROOT / "compose"
OFFLINE = COMPOSE / "offline"
SCRIPT = ROOT / "scripts" / "offline-engine"
SCRIPTS = [SCRIPT, *sorted(OFFLINE.glob("*/*.sh"))]
OVERLAYS = {
    "offline": [COMPOSE / "stack.yml", COMPOSE / "offline.yml"],
    "consul emulated": [COMPOSE / "stack.yml", COMPOSE / "offline.yml", COMPOSE / "offline-consul-emulator.yml"],
}
DOCKERFILES = [*((kind, "Dockerfile") for kind in SERVICES), (kind_named("consul"), "Dockerfile.emulator")]


def planned(overlays: str = "offline") -> dict[str, ServicePlan]:
    return dict(compose.read(OVERLAYS[overlays], {}).services)


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile as instruction and argument, continuation lines joined."""

    lines: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> Dockerfile:
        text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE))
        words = (line.partition(" ") for line in text.splitlines() if line.strip())
        return cls(tuple((name, argument.strip()) for name, _, argument in words))

    def all(self, name: str) -> list[str]:
        return [argument for found, argument in self.lines if found == name]

    def last(self, name: str) -> str:
        return (self.all(name) or [""])[-1]

    @property
    def emulator(self) -> bool:
        return "dev.infra-harness.stand-in=emulator" in self.all("LABEL")


EACH = pytest.mark.parametrize(("kind", "file"), DOCKERFILES, ids=[f"{kind.name}-{file}" for kind, file in DOCKERFILES])


@pytest.mark.parametrize("overlays", OVERLAYS)
def test_every_service_of_the_stack_has_a_stand_in_that_is_built_here(overlays: str) -> None:
    official = compose.read([COMPOSE / "stack.yml"], {}).services
    replaced = planned(overlays)
    assert set(replaced) == set(official)
    for name, service in replaced.items():
        kind = kind_of_image(official[name].image)
        assert kind
        assert service.kind == kind.name, f"{name}: x-harness must name the kind, the image's name does not"
        assert service.image.startswith(f"infra-harness/{kind.name.replace('_', '-')}:")
        assert (OFFLINE / kind.name / "Dockerfile").is_file()


@pytest.mark.parametrize("overlays", OVERLAYS)
def test_an_emulator_is_called_one_in_tag_label_and_fidelity(overlays: str) -> None:
    for service in planned(overlays).values():
        emulated = service.image.endswith("-emulator")
        file = "Dockerfile.emulator" if service.kind == "consul" and emulated else "Dockerfile"
        assert service.stand_in is emulated
        assert Dockerfile.read(OFFLINE / str(service.kind) / file).emulator is emulated


def test_an_emulators_tag_begins_with_the_version_it_emulates() -> None:
    official = compose.read([COMPOSE / "stack.yml"], {}).services
    for name, service in planned("consul emulated").items():
        if service.stand_in:
            assert service.image.endswith(f":{official[name].pin}-emulator")


@EACH
def test_the_entry_point_is_the_official_one(kind: Kind, file: str) -> None:
    dockerfile = Dockerfile.read(OFFLINE / kind.name / file)
    entrypoint = json.loads(dockerfile.last("ENTRYPOINT"))
    assert tuple(entrypoint) == kind.facts.entrypoint
    source, target = next(
        (words[:-1], words[-1])
        for words in (argument.split() for argument in dockerfile.all("COPY"))
        if words[-1] == entrypoint[0] or entrypoint[0] in {Path(word).name for word in words[:-1]}
    )
    assert target.startswith("/")
    for name in source:
        path = OFFLINE / name if name.startswith("common/") else OFFLINE / kind.name / name
        assert os.access(path, os.X_OK), f"{path}: the image takes the file's mode"


@EACH
def test_the_user_is_the_official_one(kind: Kind, file: str) -> None:
    dockerfile = Dockerfile.read(OFFLINE / kind.name / file)
    dropped = re.fullmatch(r"(\w+) \(uid (\d+)\), dropped to by the entrypoint", kind.facts.user)
    if not dropped:
        assert dockerfile.last("USER").partition(":")[0] == ("" if kind.facts.user == "root" else kind.facts.user)
        return
    user, uid = dropped.groups()
    assert dockerfile.all("USER") == []
    made = "".join(dockerfile.all("RUN")) + "".join(path.read_text() for path in (OFFLINE / kind.name).glob("*.sh"))
    assert re.search(rf"useradd [^\n&]*--uid {uid} [^\n&]*\b{user}\b", made)
    assert f"--reuid {user}" in made or f"--reuid={user}" in made


@EACH
def test_a_shell_is_there_exactly_where_the_official_image_has_one(kind: Kind, file: str) -> None:
    runs = Dockerfile.read(OFFLINE / kind.name / file).all("RUN")
    removed = [line for line in runs if "no_tools.py" in line]
    assert bool(removed) is not kind.facts.has_shell
    if removed:  # a RUN in shell form would need what was removed
        assert all(line.startswith("[") for line in runs)


@EACH
def test_the_writable_paths_of_the_official_image_are_made(kind: Kind, file: str) -> None:
    text = (OFFLINE / kind.name / file).read_text()
    text += "".join(path.read_text() for path in (OFFLINE / kind.name).glob("*.sh"))
    assert [path for path in kind.facts.writable if path not in text] == []


@EACH
def test_an_emulator_listens_beyond_its_container(kind: Kind, file: str) -> None:
    dockerfile = Dockerfile.read(OFFLINE / kind.name / file)
    assert ("EMULATOR_BIND_ANY=1" in dockerfile.last("ENV")) is dockerfile.emulator


def test_what_the_emulators_import_is_in_their_images() -> None:
    listed = {line for line in (OFFLINE / "requirements.txt").read_text().splitlines() if line and line[0] != "#"}
    owners = packages_distributions()
    missing = {
        module: owners[module.split(".")[0]]
        for path in sorted((ROOT / "harness" / "emulators").rglob("*.py"))
        if "redis" not in path.parts  # Redis's stand-in is the real server
        for module in _imported(path)
        if module.split(".")[0] not in {*sys.stdlib_module_names, "harness"}
        and not listed & {owner.lower() for owner in owners.get(module.split(".")[0], [])}
    }
    assert missing == {}, "add them to compose/offline/requirements.txt"


def test_an_emulator_needs_its_own_package_and_the_shared_modules_which_its_image_gets() -> None:
    assert '"$repository"/harness/emulators/*.py' in SCRIPT.read_text()
    folder = ROOT / "harness" / "emulators"
    shared = {path.stem for path in folder.glob("*.py")}
    foreign = {
        f"{path.relative_to(folder)}: {module}"
        for path in folder.glob("*/**/*.py")
        for module in _imported(path)
        if module.startswith("harness")
        and module.split(".")[2:3] not in [[], [path.relative_to(folder).parts[0]], *([name] for name in shared)]
    }
    assert foreign == set()


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def test_every_listed_package_is_locked_with_hashes() -> None:
    locked = (ROOT / "constraints.txt").read_text()
    listed = [line for line in (OFFLINE / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    unlocked = [
        name for name in listed if not re.search(rf"^{name}==[^\n]*\\\n\s+--hash=sha256:", locked, re.MULTILINE)
    ]
    assert unlocked == []


def test_no_host_is_named() -> None:
    files = [SCRIPT, *COMPOSE.glob("offline*.yml"), *(path for path in OFFLINE.rglob("*") if path.is_file())]
    hosts = re.compile(r"https?://(?!127\.0\.0\.1\b)[\w-]+\.\w|\b\w[\w-]*\.(?:com|org|io|net)\b")
    named = [f"{path.name}: {found}" for path in files for found in hosts.findall(path.read_text())]
    assert [name for name in named if not name.endswith(": docker.io")] == []  # a package of Debian's


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_can_be_run_and_parsed(script: Path) -> None:
    assert os.access(script, os.X_OK)
    shell = "bash" if "bash" in script.read_text().partition("\n")[0] else "sh"
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^set -eu(o pipefail)?$", script.read_text(), re.MULTILINE)


@pytest.mark.skipif(
    not shutil.which("shellcheck"), reason="shellcheck is not installed (Debian: apt install shellcheck)"
)
def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(["shellcheck", *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_help_teaches_and_wrong_use_is_refused() -> None:
    shown = subprocess.run([str(SCRIPT), "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    assert "compose/offline.yml" in shown.stdout
    wrong = subprocess.run([str(SCRIPT), "--nonsense"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--nonsense" in wrong.stderr
