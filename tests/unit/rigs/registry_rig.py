"""A registry of a few answers on loopback: manifests, indexes, challenges. Nothing can be pushed to it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.unit.rigs.http_rig import serving

LOGIN = ("alice", "s3:cret")
BASIC = "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()


def manifest(*layers: int) -> dict[str, Any]:
    """A manifest of these layers, the last of them its configuration."""
    return {"layers": [{"size": size} for size in layers[:-1]], "config": {"size": layers[-1]}}


def logged_in(directory: Path, host: str, scheme: str = "") -> None:
    """What `docker login` writes into docker's configuration."""
    coded = base64.b64encode(":".join(LOGIN).encode()).decode()
    (directory / "config.json").write_text(json.dumps({"auths": {f"{scheme}{host}": {"auth": coded}}}))


def helper(directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, prints: str, code: int = 0) -> Path:
    """A credential helper on PATH, beside the system's programs; returns the file that gets what it is asked."""
    asked = directory / f"asked-{name}"
    program = directory / f"docker-credential-{name}"
    program.write_text(
        f"#!/bin/sh\nprintf '%s ' \"$1\" >>'{asked}'\ncat >>'{asked}'\nprintf '%s' '{prints}'\nexit {code}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return asked


@dataclass
class RegistryScript:
    """What it has, how it challenges, and what it was shown."""

    host: str = ""
    manifests: dict[str, bytes] = field(default_factory=dict)
    challenge: str = ""
    token_key: str = "token"
    token_needs_login: bool = False
    tells_digest: bool = True
    answer: tuple[int, Any] | None = None
    tokens: list[dict[str, str]] = field(default_factory=list)
    authorisations: list[str] = field(default_factory=list)

    def put(self, repository: str, tag: str, content: Mapping[str, Any]) -> str:
        """Have a manifest under its tag and its digest; returns the digest."""
        body = json.dumps(content).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        for name in (tag, digest):
            self.manifests[f"/v2/{repository}/manifests/{name}"] = body
        return digest

    def put_index(self, repository: str, tag: str, sizes: Mapping[str, int]) -> None:
        """Have an index over architectures, each of that size."""
        entries = []
        for name, size in sizes.items():
            system, _, architecture = name.partition("/")
            digest = self.put(repository, f"for-{architecture}", manifest(size))
            entries.append({"digest": digest, "platform": {"os": system, "architecture": architecture}})
        self.put(repository, tag, {"manifests": entries})

    def body(self, repository: str, tag: str) -> bytes:
        """What is served."""
        return self.manifests[f"/v2/{repository}/manifests/{tag}"]

    def digest(self, repository: str, tag: str) -> str:
        """The digest of what is served."""
        return f"sha256:{hashlib.sha256(self.body(repository, tag)).hexdigest()}"

    def reply(self, path: str, shown: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a request that shows this authorisation."""
        parts = urlsplit(path)
        if parts.path == "/token":
            return self._token(dict(parse_qsl(parts.query)), shown)
        self.authorisations.append(shown)
        if self.answer is not None:
            status, content = self.answer
            return status, {}, content.encode() if isinstance(content, str) else json.dumps(content).encode()
        if self.challenge and shown != {"basic": BASIC}.get(self.challenge, "Bearer t0ken"):
            return 401, {"WWW-Authenticate": self._challenged(parts.path)}, b"{}"
        found = self.manifests.get(parts.path)
        if found is None:
            return 404, {}, b"{}"
        told = {"Docker-Content-Digest": f"sha256:{hashlib.sha256(found).hexdigest()}"} if self.tells_digest else {}
        return 200, told, found

    def _challenged(self, path: str) -> str:
        repository = path.removeprefix("/v2/").partition("/manifests/")[0]
        bearer = f'Bearer realm="http://{self.host}/token",service="unit",scope="repository:{repository}:pull"'
        others = {"basic": 'Basic realm="unit"', "digest": 'Digest realm="x"', "bearer-without-realm": 'Bearer a="b"'}
        return others.get(self.challenge, bearer)

    def _token(self, asked: dict[str, str], shown: str) -> tuple[int, dict[str, str], bytes]:
        self.tokens.append(asked)
        if self.challenge == "bearer-html":
            return 200, {}, b"<html>"
        if self.challenge == "bearer-refused" or (self.token_needs_login and shown != BASIC):
            return 403, {}, b"{}"
        return 200, {}, json.dumps({self.token_key: "t0ken"}).encode()


@contextmanager
def registry_server() -> Iterator[RegistryScript]:
    """The registry, on a free port."""
    script = RegistryScript()
    with serving(lambda request: script.reply(request.path, request.headers.get("authorization", ""))) as port:
        script.host = f"127.0.0.1:{port}"
        yield script
