"""The compose files themselves, held against what is known of each image."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from harness.config import compose
from harness.model import ServicePlan
from harness.services import kind_named, kind_of_image
from tests.unit.rigs.core_rig import ROOT

COMPOSE = ROOT / "compose"
FILES = sorted(COMPOSE.glob("*.yml"))
EXACT = re.compile(r"\d+\.\d+\.\d+([.-][\w.]+)?")


def services() -> list[ServicePlan]:
    return list(compose.read([COMPOSE / "stack.yml"], {}).services.values())


ALL = pytest.mark.parametrize("service", services(), ids=lambda service: service.name)


@ALL
def test_the_image_is_of_a_known_kind_and_pinned_exactly(service: ServicePlan) -> None:
    assert kind_of_image(service.image)
    assert EXACT.fullmatch(service.pin), f"{service.image}: pin a full version, never latest"


@ALL
def test_a_shell_health_check_stands_only_on_an_image_with_a_shell(service: ServicePlan) -> None:
    kind = kind_of_image(service.image)
    assert kind
    if service.health and service.health.needs_shell:
        assert kind.facts.has_shell, f"{service.origin}: {service.image} has no /bin/sh"


@ALL
def test_the_images_user_can_write_every_volume_and_tmpfs(service: ServicePlan) -> None:
    kind = kind_of_image(service.image)
    assert kind
    for mount in service.mounts:
        if mount.kind == "volume":
            assert _below(mount.target, kind.facts.writable), f"{mount.target}: not writable by {kind.facts.user}"
        if mount.kind == "tmpfs" and not _below(mount.target, kind.facts.writable):
            uid = re.search(r"uid=(\d+)", mount.source)
            assert uid, f"{mount.target}: a tmpfs belongs to root unless uid= says otherwise"
            assert uid.group(1) in kind.facts.user


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


@ALL
def test_every_secret_of_a_kind_can_be_set(service: ServicePlan) -> None:
    kind = kind_of_image(service.image)
    assert kind
    text = "".join((COMPOSE / name).read_text() for name in ("stack.yml", "secure.yml"))
    assert [name for name in kind_named(kind.name).secret_variables if f"${{{name}:-" not in text] == []


def test_with_access_control_the_client_of_the_harness_gets_what_the_server_asks_for() -> None:
    read = compose.read(
        [COMPOSE / "stack.yml", COMPOSE / "secure.yml"], {"CONSUL_TOKEN": "t", "ARANGO_JWT_SECRET": "j"}
    )
    consul, arangodb = read.services["consul"], read.services["arangodb"]
    assert kind_named("consul").credentials(consul)["token"].reveal() == "t"
    (rules,) = [json.loads(mount.source) for mount in consul.mounts if mount.target == "/consul/config/acl.json"]
    assert (rules["acl"]["enabled"], rules["acl"]["default_policy"]) == (True, "deny")
    assert set(rules["acl"]["tokens"].values()) == {"t"}
    (secret,) = [mount for mount in arangodb.mounts if mount.kind == "content"]
    assert (secret.source, secret.target in arangodb.command) == ("j", True)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_variable_has_a_default(file: Path) -> None:
    text = re.sub(r"^\s*#.*$", "", file.read_text(), flags=re.MULTILINE).replace("$$", "")
    assert re.findall(r"\$[A-Za-z_]\w*", text) == []
    assert [name for name, operator in re.findall(r"\$\{(\w+)(:?[-?+]?)", text) if operator != ":-"] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_ports_are_published_on_loopback_only(file: Path) -> None:
    for name, service in (yaml.safe_load(file.read_text()).get("services") or {}).items():
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:"), f"{file.name}: {name}: {port}"


def test_every_file_under_config_is_named_by_a_mount() -> None:
    text = "".join(file.read_text() for file in FILES)
    named = {COMPOSE / match for match in re.findall(r"\./(config/[\w./-]+?)(?=[:\s\"'\]},]|$)", text, re.MULTILINE)}
    orphans = {
        str(path.relative_to(COMPOSE))
        for path in (COMPOSE / "config").rglob("*")
        if path.is_file() and not any(path == mount or path.is_relative_to(mount) for mount in named)
    }
    assert orphans == set()
