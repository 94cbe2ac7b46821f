"""Having images on the engine before anything starts: policy, pulling with progress, and refusals told apart."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException, ImageNotFound
from requests import RequestException

from harness.errors import ImageError, RuntimeUnavailable
from harness.runtimes.docker.engine import make_client, reason
from harness.runtimes.images import engine_name, parse
from harness.runtimes.registry import describe

TRIES = 4
BACKOFF = 1.0
"""Seconds before the second try, doubled for each further one, with up to half as much at random on top."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Refusal:
    """Why a pull failed, in one sentence, whether trying again may help, and the next step."""

    text: str
    passing: bool
    next_step: str


# What registries and engines say, and what it means. The first that matches counts. A number counts as a status only
# where it stands alone: digests, ports and tags are full of digits, and names of images full of words.
_REFUSALS: tuple[tuple[str, str, bool, str], ...] = (
    (r"no space left on device|disk quota exceeded", "the engine's disk is full", False,
     "free space: `docker system df`"),
    (r"toomanyrequests|rate limit|too many requests|(?<![\w.:/@-])429\b",
     "the registry limits how much is pulled from here", True,
     "log in with `docker login`, use a mirror (--mirror), or wait"),
    (r"no matching manifest|no match for platform|does not match the (specified|detected host) platform"
     r"|exec format error|cannot be used on this platform",
     "the image is not built for this engine's architecture", False,
     "choose an image with this architecture, or set up emulation"),
    (r"unauthorized|access ?denied|(?<!permission )denied(:|$)|is denied|authentication required|403 Forbidden"
     r"|no basic auth", "the registry denies access", False,
     "log in with `docker login`, or correct the image's name: registries deny what does not exist, too"),
    (r"manifest unknown|name unknown|: not found|\w not found:|not found$|does not exist|no such image|404 not found",
     "there is no such image", False, "correct the name or tag in the compose file"),
    (r"dial tcp|\blookup \S+( on \S+)?:|i/o timeout|connection re(fused|set)|network is unreachable|no route to host"
     r"|TLS handshake|\bEOF\b|(?<![\w.:/@-])50[0-9]\b|deadline exceeded|Client\.Timeout|timed out"
     r"|request canceled", "the registry cannot be reached", True,
     "check the network; offline: `harness images load`, or --pull never"),
)  # fmt: skip


def classify(said: str) -> Refusal:
    """What a refusal means. Unknown words are taken as permanent, and shown."""
    for pattern, text, passing, next_step in _REFUSALS:
        if re.search(pattern, said, re.IGNORECASE):
            return Refusal(text, passing, next_step)
    return Refusal(said.strip() or "no reason given", False, "see the engine's log")


def name_on_engine(client: Any, image: str, places: Iterable[str] = (), ids: Collection[str] = ()) -> str:
    """The name under which the engine has an image, empty when it has not; the very one when a digest is named.

    What came from another place than its name says cannot bear its digest in its name (see `engine_name`). What was
    loaded from an archive has no digest at all, and is the very one when its id is one of the lock's `ids`.
    """
    wanted = {parse(place).digest for place in (image, *places)} - {""}
    for name in dict.fromkeys((image, engine_name(image))):
        with suppress(ImageNotFound):
            found = client.images.get(name)
            digests = {digest.rpartition("@")[2] for digest in found.attrs.get("RepoDigests") or []}
            if not wanted or wanted & digests or found.id in ids:
                return name
    return ""


def ensure(
    client: Any, image: str, places: tuple[str, ...], policy: str, tell: Progress, ids: Collection[str] = ()
) -> str:
    """Have an image on the engine under the compose file's name, and return that name.

    `policy` is `always`, `missing` or `never`; `places` are tried in order, and what is pulled from another place is
    tagged with the name of the compose file; `ids` as for `name_on_engine`. Raises ImageError.
    """
    if policy != "always" and name_on_engine(client, image, places, ids):
        return image
    if policy == "never":
        other = " as the lock has it, but another one of that name" if name_on_engine(client, image) else ""
        raise ImageError(
            f"image {image} is not on the engine{other}, and --pull is never", "`harness images load FILE`"
        )
    refusals = []
    for place in places:
        tell(f"image {place}: {_size_to_pull(place, client)}")
        try:
            _pull(client, place, tell)
        except ImageError as error:
            refusals.append(error)
            continue
        if place != image:
            client.images.get(place).tag(engine_name(image))
        return image
    raise refusals[-1]


def _size_to_pull(place: str, client: Any) -> str:
    """Megabytes before the pull; layers that the engine has already come off it."""
    try:
        sizes = describe(place).sizes
    except RuntimeUnavailable:
        return "pulling; its registry does not tell the size"
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(client.info()["Architecture"], client.info()["Architecture"])
    size = sizes.get(f"linux/{machine}", sizes.get("", 0))
    return f"{size / 1e6:.0f} MB to pull at the most" if size else f"not built for linux/{machine}"


def _pull(client: Any, place: str, tell: Progress) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            _pull_once(client, place, tell)
        except (DockerException, RequestException) as error:
            refusal = classify(reason(error))
            if not refusal.passing or attempt == TRIES:
                tries = f" ({attempt} tries)" if attempt > 1 else ""
                raise ImageError(f"image {place}: {refusal.text}{tries}: {reason(error)}", refusal.next_step) from error
            wait = BACKOFF * 2 ** (attempt - 1) * (1 + random.random() / 2)
            tell(f"image {place}: {refusal.text}; try {attempt + 1} of {TRIES} in {wait:.0f} s")
            time.sleep(wait)
        else:
            return


def _pull_once(client: Any, place: str, tell: Progress) -> None:
    reference = parse(place)
    name = place.partition("@")[0].removesuffix(f":{reference.tag}")
    stream = client.api.pull(name, tag=reference.digest or reference.tag, stream=True, decode=True)
    for line in summarise(stream, time.monotonic):
        tell(f"image {place}: {line}")


def summarise(stream: Iterator[dict[str, Any]], clock: Callable[[], float]) -> Iterator[str]:
    """The engine's progress of many layers as a line now and then: megabytes done of those known so far.

    Raises DockerException for an error inside the stream: an engine answers 200 and fails later.
    """
    known: dict[str, int] = {}
    done: dict[str, int] = {}
    last = clock()
    for event in stream:
        if "error" in event:
            raise DockerException(str(event["error"]))
        detail, layer = event.get("progressDetail") or {}, event.get("id", "")
        if detail.get("total") and event.get("status") == "Downloading":
            known[layer], done[layer] = detail["total"], detail["current"]
        elif event.get("status") in {"Download complete", "Pull complete"} and layer in known:
            done[layer] = known[layer]
        if known and clock() - last >= 1.0:
            last = clock()
            yield f"{sum(done.values()) / 1e6:.0f} of {sum(known.values()) / 1e6:.0f} MB"


# -- for people, and for sites without a network ------------------------------------------------------------------


@contextmanager
def _engine() -> Iterator[Any]:
    client = make_client()
    try:
        yield client
    finally:
        client.close()


def on_engine(images: Iterable[str]) -> dict[str, int]:
    """The size in bytes of each image that the engine has. Raises RuntimeUnavailable."""
    found = {}
    try:
        with _engine() as client:
            for image in images:
                if name := name_on_engine(client, image):
                    found[image] = int(client.images.get(name).attrs["Size"])
    except (DockerException, RequestException) as error:
        raise RuntimeUnavailable(f"docker engine: {reason(error)}", "see `harness doctor`") from error
    return found


def save(images: list[str], file: Path) -> int:
    """Write images into one archive, whole or not at all. Returns its size in bytes. Raises ImageError."""
    if file.is_dir():
        raise ImageError(f"{file}: is a directory", "name the archive to write")
    temporary = file.with_name(file.name + ".part")
    try:
        with _engine() as client, temporary.open("wb") as target:
            for chunk in _export(client.api, [name_on_engine(client, image) or image for image in images]):
                target.write(chunk)
        temporary.replace(file)
    except (DockerException, RequestException) as error:
        raise ImageError(f"save: {reason(error)}", "pull the images first: `harness images pull`") from error
    except OSError as error:
        raise ImageError(f"{file}: {error.strerror}", "choose another place") from error
    finally:
        if temporary.exists():
            temporary.unlink()
    return file.stat().st_size


def _export(api: Any, images: list[str]) -> Iterator[bytes]:
    """Several images in one stream, shared layers once. Source: Engine API, "Export several images"."""
    response = api._get(api._url("/images/get"), params={"names": images}, stream=True)
    if response.status_code == 404:
        raise ImageNotFound(response.json()["message"])
    response.raise_for_status()
    yield from response.iter_content(1 << 20)


def load(file: Path) -> dict[str, str]:
    """Read an archive into the engine. Returns the names of what came, with their ids. Raises ImageError."""
    try:
        with _engine() as client, file.open("rb") as source:
            loaded = client.images.load(source)
    except (DockerException, RequestException) as error:  # a RequestException is an OSError without words
        raise ImageError(f"{file}: {reason(error)}", "name an archive that `harness images save` wrote") from error
    except OSError as error:
        raise ImageError(f"{file}: {error.strerror}", "name an archive that `harness images save` wrote") from error
    return {tag: str(image.id) for image in loaded for tag in image.tags}
