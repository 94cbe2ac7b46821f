"""Asking a registry what an image is before it is pulled: its size, its digest, its architectures.

Speaks just enough of the OCI distribution specification, version 1.1: "Pulling manifests" and the token challenge.
Knows no engine; what a registry refuses is told in its own words.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from harness.errors import RuntimeUnavailable
from harness.runtimes.images import HUB, Reference, parse
from harness.runtimes.logins import Login, stored_login

TIMEOUT = 5.0
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Described:
    """An image as its registry has it: the digest of what the tag names, bytes to pull by `os/architecture`, and by the
    same the id that an engine gives the image: the digest of its configuration, which names every layer's content."""

    image: str
    digest: str
    sizes: Mapping[str, int]
    is_index: bool
    ids: Mapping[str, str] = field(default_factory=dict)


class Registry:
    """One registry. `login` gives a pair of user and password, and is asked only when the registry challenges.

    What .netrc says is never sent: requests would put it in the place of the token.
    """

    def __init__(self, host: str, login: Callable[[], Login | None], scheme: str = "") -> None:
        self._base = f"{scheme or _scheme(host)}://{'registry-1.docker.io' if host == HUB else host}"
        self._login = login
        self._session = requests.Session()
        self._session.auth = _bare
        self._session.trust_env = not _on_loopback(host)

    def describe(self, reference: Reference, image: str) -> Described:
        """What an image is. Raises RuntimeUnavailable with the registry's own words."""
        name = reference.digest or reference.tag
        try:
            with self._session:
                data, digest = self._manifest(reference.repository, name)
                is_index = data.get("mediaType") in INDEX_TYPES or "manifests" in data
                manifests = self._manifests(reference.repository, data) if is_index else {"": data}
                sizes = {platform: layers_size(found) for platform, found in manifests.items()}
                return Described(image, digest, sizes, is_index, _ids(manifests))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = f"registry: {reference.repository}: what came is no manifest ({type(error).__name__})"
            raise RuntimeUnavailable(why, "see whether a proxy answers in its place") from error

    def _manifests(self, repository: str, index: Mapping[str, Any]) -> dict[str, Any]:
        """The manifest of each architecture."""
        manifests = {}
        for entry in index["manifests"]:
            platform = entry.get("platform") or {}
            if platform.get("os") in {None, "unknown"}:
                continue  # attestations lie beside the images
            name = f"{platform['os']}/{platform['architecture']}"
            manifests[name] = self._manifest(repository, entry["digest"])[0]
        return manifests

    def _manifest(self, repository: str, name: str) -> tuple[Any, str]:
        """A manifest or index, and its digest: the registry's word, or counted where it gives none."""
        url = f"{self._base}/v2/{repository}/manifests/{name}"
        headers = {"Accept": ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))}
        try:
            answer = self._session.get(url, headers=headers, timeout=TIMEOUT)
            if answer.status_code == 401:
                self._authorise(answer.headers.get("WWW-Authenticate", ""))
                answer = self._session.get(url, headers=headers, timeout=TIMEOUT)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise RuntimeUnavailable(f"registry: {repository}: {_words(error)}", "see the image's name") from error
        digest = answer.headers.get("Docker-Content-Digest")
        return answer.json(), digest or f"sha256:{hashlib.sha256(answer.content).hexdigest()}"

    def _authorise(self, challenge: str) -> None:
        """Follow a challenge. Source: distribution specification, "Token authentication"."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            self._session.auth = self._login() or _bare
            return
        parameters = dict(_PARAMETER.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in parameters:
            return
        realm = parameters.pop("realm")
        answer = self._session.get(realm, params=parameters, auth=self._login() or _bare, timeout=TIMEOUT)
        answer.raise_for_status()
        token = answer.json().get("token") or answer.json().get("access_token")
        self._session.auth = _with_header(f"Bearer {token}")


def _bare(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _with_header(value: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    def put(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = value
        return request

    return put


def _ids(manifests: Mapping[str, Any]) -> dict[str, str]:
    configs = {platform: (found.get("config") or {}).get("digest") for platform, found in manifests.items()}
    return {platform: str(digest) for platform, digest in configs.items() if digest}


def layers_size(manifest: Mapping[str, Any]) -> int:
    """Bytes to pull: the layers and the configuration, compressed."""
    parts = [*manifest.get("layers", []), manifest.get("config") or {}]
    return sum(int(part.get("size", 0)) for part in parts)


def describe(image: str, scheme: str = "") -> Described:
    """Ask the image's registry, with the login that `docker login` left. Raises RuntimeUnavailable."""
    reference = parse(image)
    return Registry(reference.registry, partial(stored_login, reference.registry), scheme).describe(reference, image)


def _on_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    return name in {"localhost", "::1"} or name.startswith("127.")


def _scheme(host: str) -> str:
    return "http" if _on_loopback(host) else "https"


def _words(error: requests.RequestException) -> str:
    if isinstance(error, requests.JSONDecodeError):
        return "its token server does not answer in JSON"
    if error.response is None:
        return f"cannot be reached ({type(error).__name__})"
    try:
        said = "; ".join(item.get("message", item.get("code", "")) for item in error.response.json()["errors"])
    except (ValueError, KeyError, TypeError, AttributeError):
        said = error.response.reason
    return f"HTTP {error.response.status_code} {said}"


# -- the lock file ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lock:
    """Digests of multi-architecture indexes, and the ids of the images in them, by image name as the compose file has
    it. What was loaded from an archive has no digest, but always its id."""

    digests: Mapping[str, str]
    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Lock:
        """An absent file locks nothing. Raises RuntimeUnavailable for one that cannot be read."""
        if not file.is_file():
            return cls({})
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            entries = data["images"].items()
            ids = {image: tuple((entry.get("ids") or {}).values()) for image, entry in entries}
            return cls({image: entry["digest"] for image, entry in entries}, ids)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RuntimeUnavailable(f"lock file {file}: {error}", "write it anew: `harness images lock`") from error

    def locked(self, image: str) -> str:
        """The image by digest when it is locked, else the image as it is."""
        digest = self.digests.get(image)
        return f"{image}@{digest}" if digest and "@" not in image else image


def write_lock(file: Path, described: list[Described], platforms: tuple[str, ...]) -> None:
    """Write the digests. Raises RuntimeUnavailable when an image is not built for every wanted platform."""
    for item in described:
        missing = [platform for platform in platforms if item.is_index and platform not in item.sizes]
        if missing or not item.is_index:
            lacks = ", ".join(missing) or "an index over architectures"
            raise RuntimeUnavailable(f"image {item.image}: lacks {lacks}", "choose an image that is built for all")
    images = {
        item.image: {"digest": item.digest, "bytes": dict(item.sizes), "ids": dict(item.ids)} for item in described
    }
    try:
        file.write_text(json.dumps({"images": images}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise RuntimeUnavailable(f"lock file {file}: {error.strerror}", "make its directory writable") from error
