"""What `auto` wants to know before it chooses containers: is the engine there, and can every image be had."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from docker.errors import DockerException
from requests import RequestException

from harness.errors import ImageError, RuntimeUnavailable
from harness.runtimes.docker.engine import ASK_TIMEOUT, ask, make_client, reason
from harness.runtimes.docker.images import Progress, classify, ensure, name_on_engine

Images = Mapping[str, tuple[str, ...]]
"""By image: the places that it may come from, best first; or the ids that the lock has for it."""


def why_not(images: Images, policy: str, ids: Images) -> str:
    """Why this stack cannot run as containers here; empty when it can. Takes a few seconds at the most."""
    try:
        ask()
        missing = _missing(images, ids)
        if not missing:
            return ""
        if policy == "never":
            return f"the engine has no image {missing[0]}, and --pull is never"
        with ThreadPoolExecutor(max_workers=8) as pool:
            answers = list(pool.map(_refused, (images[image] for image in missing)))
    except RuntimeUnavailable as error:
        return error.message
    except (DockerException, RequestException) as error:
        return f"the engine does not say which images it has: {reason(error)}"
    return next((answer for answer in answers if answer), "")


def _missing(images: Images, ids: Images) -> list[str]:
    client = make_client(ASK_TIMEOUT)
    try:
        return [
            image for image, places in images.items() if not name_on_engine(client, image, places, ids.get(image, ()))
        ]
    finally:
        client.close()


def _refused(places: tuple[str, ...]) -> str:
    """Why no registry offers an image, empty when one does. Source: Engine API, "Get image information from the
    registry"."""
    client, said = make_client(ASK_TIMEOUT), ""
    try:
        for place in places:
            try:
                client.api.inspect_distribution(place)
            except (DockerException, RequestException) as error:
                said = f"image {place}: {classify(reason(error)).text}"
            else:
                return ""
        return said
    finally:
        client.close()


def have_images(images: Images, policy: str, tell: Progress, ids: Images, address: str = "") -> None:
    """Have every image on the engine, two pulls at a time. Raises ImageError for the first that cannot be had."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        for _ in pool.map(lambda name: _have(name, images[name], policy, tell, ids.get(name, ()), address), images):
            pass


def _have(image: str, places: tuple[str, ...], policy: str, tell: Progress, ids: tuple[str, ...], address: str) -> None:
    client = make_client(address=address)
    try:
        ensure(client, image, places, policy, tell, ids)
    except (DockerException, RequestException) as error:
        raise ImageError(f"image {image}: {reason(error)}", "see the engine's log") from error
    finally:
        client.close()
