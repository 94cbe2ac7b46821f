"""Names of images and where they may come from: pure, no engine and no registry is asked.

Own resolution, because a prefix that is glued onto every name (as Testcontainers does) breaks images of other
registries. Order: the per-image map, then the mirror (Docker Hub images only), then the name itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import UsageError

HUB = "docker.io"
_HUB_NAMES = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True)
class Reference:
    """An image name in parts. `registry` is `docker.io` for Docker Hub; `tag` and `digest` may be empty."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def on_hub(self) -> bool:
        """Whether it is an image of Docker Hub."""
        return self.registry == HUB

    @property
    def name(self) -> str:
        """As an engine takes it: short for Docker Hub, with the registry's host otherwise."""
        short = self.repository.removeprefix("library/")
        plain = self.repository if "/" in short else short
        repository = plain if self.on_hub else f"{self.registry}/{self.repository}"
        return repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(image: str) -> Reference:
    """Read an image name. Source: distribution/reference, "Grammar". Raises UsageError for an empty part."""
    rest, at, digest = image.partition("@")
    host, slash, path = rest.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        registry, rest = (HUB if host in _HUB_NAMES else host), path
    else:
        registry = HUB
    repository, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        repository, tag, colon = rest, "", ""
    halves = digest.split(":") if at else ["-", "-"]
    if not all((*repository.split("/"), *halves)) or len(halves) != 2 or (colon and not tag):
        raise UsageError(f"image {image!r}: expected [REGISTRY/]NAME[:TAG][@ALGORITHM:DIGEST]")
    if registry == HUB and "/" not in repository:
        repository = f"library/{repository}"
    return Reference(registry, repository, tag or ("" if digest else "latest"), digest)


def engine_name(image: str) -> str:
    """A name that an engine can tag an image with. A digest is no part of it; it makes the tag where there is none."""
    reference = parse(image)
    tag = reference.tag or reference.digest.partition(":")[2][:12]
    return Reference(reference.registry, reference.repository, tag).name


def candidates(image: str, replacements: Mapping[str, str], mirror: str = "") -> tuple[str, ...]:
    """Where to look for an image, best first. A mapped image has one place; a mirrored one falls back to its own.

    `replacements` maps a name as the compose file has it, with or without its tag; one without keeps the tag.
    """
    reference = parse(image)
    tagged = image.partition("@")[0]
    if tagged in replacements:
        return (replacements[tagged],)
    bare = tagged.removesuffix(f":{reference.tag}")
    if bare in replacements:
        return (f"{replacements[bare]}:{reference.tag or 'latest'}",)
    if mirror and reference.on_hub:
        mirrored = f"{mirror.rstrip('/')}/{reference.repository}"
        suffix = (f":{reference.tag}" if reference.tag else "") + (f"@{reference.digest}" if reference.digest else "")
        return (mirrored + suffix, image)
    return (image,)
