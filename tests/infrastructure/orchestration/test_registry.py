"""Pulling for real: a registry on loopback, and every way in which an image cannot be had.

The registry is Debian's package `docker-registry`; on a machine without it nothing here is verified.
"""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.probes.http import ask, expect
from harness.runtimes.child import Child

PROGRAM = "docker-registry"
USER, PASSWORD = "tester", "not-a-real-password"
HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuudLYPY/O3Omal5/C.k5.n2dNOG5VmjFK\n"  # bcrypt of PASSWORD
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"


@dataclass(frozen=True)
class Site:
    """A registry with one small image, a compose file that wants it, and an engine that has not got it."""

    directory: Path
    endpoint: Endpoint
    child: Child
    name: str

    @property
    def pushed(self) -> str:
        """The image's name on this registry."""
        return f"{self.endpoint.address}/library/{self.name}:1"

    def harness(self, *words: str, login: bool = False) -> subprocess.CompletedProcess[str]:
        """What `harness images` does, as a user has it done in a project of this image alone."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
        kept["DOCKER_CONFIG"] = str(self.directory / ("login" if login else "no-login"))
        return subprocess.run(
            [sys.executable, "-m", "harness.cli.main", "images", *words, "--compose", "stack.yml"],
            cwd=self.directory, env=kept, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def on_engine(self) -> bool:
        """Whether the engine has the image under the compose file's name."""
        found = subprocess.run(["docker", "image", "inspect", f"{self.name}:1"], capture_output=True, timeout=20)
        return found.returncode == 0


@pytest.fixture
def serve(
    engine: Any,
    stack: RemoteStack,
    lease: Callable[..., Endpoint],
    private_process: Callable[..., Child],
    tmp_path: Path,
) -> Iterator[Callable[..., Site]]:
    """`serve(locked=False)`: a registry, with a password when locked."""
    if stack.elsewhere:
        pytest.skip("not verified: the engine is on another machine, and the registry on loopback of this one")
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"not verified: {PROGRAM} is not on PATH (it is Debian's package of that name)")
    name = f"ih-test-{secrets.token_hex(6)}"

    def start(locked: bool = False) -> Site:
        endpoint = lease("registry")
        storage = {"filesystem": {"rootdirectory": str(tmp_path / "registry")}}
        settings: dict[str, Any] = {"version": 0.1, "http": {"addr": endpoint.address}, "storage": storage}
        if locked:
            (tmp_path / "htpasswd").write_text(HTPASSWD)
            settings["auth"] = {"htpasswd": {"realm": "unit", "path": str(tmp_path / "htpasswd")}}
        (tmp_path / "registry.yml").write_text(json.dumps(settings))
        child = private_process(
            [PROGRAM, "serve", str(tmp_path / "registry.yml")], lambda: expect((200, 401), endpoint, "/v2/")
        )
        site = Site(tmp_path, endpoint, child, name)
        fill(site)
        return site

    yield start
    ids = subprocess.run(["docker", "images", "-q", "--no-trunc", "--filter", f"label=unit={name}"],
                         capture_output=True, text=True, timeout=20, check=True)  # fmt: skip
    for found in set(ids.stdout.split()):
        subprocess.run(["docker", "rmi", "-f", found], capture_output=True, timeout=20, check=True)


def fill(site: Site) -> None:
    """Write the compose file and the login, push an image of one small file, and take it off the engine."""
    (site.directory / "stack.yml").write_text(json.dumps({"services": {"app": {"image": f"{site.name}:1"}}}))
    coded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for directory, logins in (("login", {site.endpoint.address: {"auth": coded}}), ("no-login", {})):
        (site.directory / directory).mkdir()
        (site.directory / directory / "config.json").write_text(json.dumps({"auths": logins}))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("name")
        entry.size = len(site.name)
        tar.addfile(entry, io.BytesIO(site.name.encode()))
    docker = ["docker", "--config", str(site.directory / "login")]
    for words in (["import", "--change", f"LABEL unit={site.name}", "-", site.pushed], ["push", "-q", site.pushed],
                  ["rmi", site.pushed]):  # fmt: skip
        given = archive.getvalue() if words[0] == "import" else None
        done = subprocess.run([*docker, *words], input=given, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, f"docker {words}: {done.stderr.decode()}"


@pytest.mark.parametrize("way", ["map", "mirror"])
def test_an_image_is_pulled_from_where_a_site_has_it(serve: Callable[..., Site], way: str) -> None:
    """Through the map or the mirror, it is on the engine under the compose file's name, and its size is told before.

    Source: distribution specification 1.1, "Pulling manifests"; Engine API, "Create an image", "Tag an image".
    """
    site = serve()
    options = ["--images", f"{site.name}={site.endpoint.address}/library/{site.name}"]
    done = site.harness("pull", *(options if way == "map" else ["--mirror", site.endpoint.address]))
    assert done.returncode == 0, done.stderr
    assert f"image {site.pushed}: " in done.stdout
    assert "MB to pull" in done.stdout
    assert site.on_engine()


def test_the_login_of_docker_is_used_and_its_absence_told_as_denied(serve: Callable[..., Site]) -> None:
    """Exit code 7 and a sentence of its own without a login, the image with one. Source: `docker login`."""
    site = serve(locked=True)
    refused = site.harness("pull", "--images", f"{site.name}:1={site.pushed}")
    assert refused.returncode == 7, refused.stdout
    assert "the registry denies access" in refused.stderr
    assert "docker login" in refused.stderr
    assert not site.on_engine()
    done = site.harness("pull", "--images", f"{site.name}:1={site.pushed}", login=True)
    assert done.returncode == 0, done.stderr
    assert site.on_engine()
    assert PASSWORD not in done.stdout + done.stderr


def test_an_absent_image_is_told_at_once(serve: Callable[..., Site]) -> None:
    """What a registry has not got is not asked for again. Source: distribution specification, `MANIFEST_UNKNOWN`."""
    site = serve()
    done = site.harness("pull", "--images", f"{site.name}:1={site.endpoint.address}/library/{site.name}:none")
    assert done.returncode == 7, done.stdout
    assert "there is no such image" in done.stderr
    assert "tries" not in done.stderr


def test_a_registry_that_is_gone_is_tried_a_counted_number_of_times(serve: Callable[..., Site]) -> None:
    """A passing refusal is given time, and then told for what it is."""
    site = serve()
    site.child.kill()
    done = site.harness("pull", "--images", f"{site.name}:1={site.pushed}")
    assert done.returncode == 7, done.stdout
    assert "the registry cannot be reached (4 tries)" in done.stderr
    assert "harness images load" in done.stderr


def test_a_lock_holds_the_digest_of_an_index_and_the_engine_pulls_that_one(serve: Callable[..., Site]) -> None:
    """After the tag was moved, the locked image is pulled all the same. Source: Engine API, images by digest."""
    site = serve()
    single = site.harness("lock", "--mirror", site.endpoint.address)
    assert single.returncode == 7, single.stdout
    digest = put_index(site)
    locked = site.harness("lock", "--mirror", site.endpoint.address)
    assert locked.returncode == 0, locked.stderr
    written = json.loads((site.directory / "images.lock.json").read_text())["images"]
    assert written[f"{site.name}:1"]["digest"] == digest
    put_index(site, "linux/s390x")
    done = site.harness("pull", "--mirror", site.endpoint.address)
    assert done.returncode == 0, done.stderr
    assert site.on_engine()


def test_a_loaded_image_is_held_against_the_lock_by_its_id(serve: Callable[..., Site]) -> None:
    """An archive keeps no digest, and an image's id is the digest of its configuration: with it the locked image is
    known again where no registry is. Source: OCI image specification, "ImageID"."""
    site = serve()
    put_index(site)
    for words in (("lock", "--mirror", site.endpoint.address), ("pull", "--mirror", site.endpoint.address),
                  ("save", "stack.tar")):  # fmt: skip
        done = site.harness(*words)
        assert done.returncode == 0, done.stderr
    for found in (f"{site.name}:1", f"{site.endpoint.address}/library/{site.name}:1"):
        subprocess.run(["docker", "rmi", found], capture_output=True, timeout=20, check=False)
    site.child.kill()
    loaded = site.harness("load", "stack.tar")
    assert f"{site.name}:1: as locked" in loaded.stdout, loaded.stdout + loaded.stderr
    done = site.harness("pull")  # asks nobody: it is there, and is the very one
    assert done.returncode == 0, done.stderr


def put_index(site: Site, *platforms: str) -> str:
    """Put the tag on an index that has the pushed image for these platforms; returns the index's digest."""
    base = f"/v2/library/{site.name}/manifests"
    tag = "1" if not platforms else "plain"
    pushed = expect(200, site.endpoint, f"{base}/{tag}", headers={"Accept": MANIFEST})
    if not platforms:
        expect(201, site.endpoint, f"{base}/plain", "PUT", body=pushed.body, headers={"Content-Type": MANIFEST})
    entries = []
    for platform in platforms or ("linux/amd64", "linux/arm64"):
        system, _, architecture = platform.partition("/")
        digest, platform_of = pushed.headers["docker-content-digest"], {"os": system, "architecture": architecture}
        entries.append({"mediaType": MANIFEST, "size": len(pushed.body), "digest": digest, "platform": platform_of})
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    answer = ask(site.endpoint, f"{base}/1", "PUT", body=body, headers={"Content-Type": INDEX})
    assert answer.status == 201, answer.text
    return answer.headers["docker-content-digest"]
