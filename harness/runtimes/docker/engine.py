"""The engine: does it answer, what is it, and a client that is ours alone.

Traps of the libraries that are dealt with here: Testcontainers prefixes every image name from its own configuration,
starts a reaper of its own, guesses an address from the presence of /.dockerenv, takes another engine than docker does
by a file of its own or a docker context, and logs in to a registry for every container. We need none of the five.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, field
from typing import Any

import docker
import requests
from docker.errors import DockerException
from testcontainers.core.config import testcontainers_config

from harness.errors import RuntimeUnavailable
from harness.runtimes.ssh.reach import reached, spoken

ASK_TIMEOUT = 2
"""Seconds in which an engine has to answer to be considered there."""
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
CALL_TIMEOUT = 60
"""Seconds for one call to the engine; stopping a container takes its grace on top."""


@dataclass(frozen=True)
class Engine:
    """What answered."""

    version: str
    api: str
    os: str
    architecture: str
    rootless: bool
    address: str
    identity: tuple[str, ...] = field(default=(), compare=False)
    """What two addresses of one engine have in common, and two engines of one machine do not: the id may be the same
    there, for the key that it is made from belongs to the machine (before 23.0)."""

    def told(self) -> dict[str, str]:
        """What a report tells of it."""
        names = ("address", "version", "api", "os", "architecture")
        return {name: str(value) for name, value in asdict(self).items() if name in names}


def engine_address() -> str:
    """Where the engine is that everything here talks to."""
    return os.environ.get("DOCKER_HOST", DEFAULT_SOCKET)


def make_client(timeout: int = CALL_TIMEOUT, address: str = "") -> Any:
    """A client of the engine at an address, else of the one that DOCKER_HOST or the default socket names. One per
    thread: it is not thread-safe. Raises RuntimeUnavailable, also for an engine that is out of reach."""
    here = reached(address or engine_address())
    _spare_loopback()
    environment = {**os.environ, "DOCKER_HOST": here} if address else None
    try:
        return docker.DockerClient.from_env(timeout=timeout, environment=environment)
    except (DockerException, requests.RequestException, OSError) as error:
        raise _unavailable(error, address) from error


def _spare_loopback() -> None:
    """An engine on loopback is not asked through a proxy. Both libraries ask the environment, each by itself."""
    for name in ("NO_PROXY", "no_proxy"):
        named = [word for word in os.environ.get(name, "").split(",") if word]
        os.environ[name] = ",".join(dict.fromkeys([*named, *LOOPBACK]))


def ask(timeout: int = ASK_TIMEOUT, address: str = "") -> Engine:
    """Who is there. Raises RuntimeUnavailable with the reason when nobody answers in time."""
    client = None
    try:
        client = make_client(timeout, address)
        info, version = client.info(), client.version()
    except (DockerException, requests.RequestException, OSError) as error:
        raise _unavailable(error, address) from error
    finally:
        if client is not None:
            client.close()
    return Engine(
        version=str(version.get("Version", "")),
        api=str(version.get("ApiVersion", "")),
        os=str(info.get("OperatingSystem", "")),
        architecture=str(info.get("Architecture", "")),
        rootless=any("rootless" in option for option in info.get("SecurityOptions") or []),
        address=spoken(address or engine_address()),
        identity=tuple(str(info.get(key, "")) for key in ("ID", "Name", "DockerRootDir")),
    )


def _unavailable(error: Exception, address: str) -> RuntimeUnavailable:
    where = spoken(address or os.environ.get("DOCKER_HOST", "the default socket"))
    return RuntimeUnavailable(
        f"docker engine at {where} does not answer: {reason(error)}",
        "start it, set DOCKER_HOST, or use --runtime process",
    )


def reason(error: Exception) -> str:
    """The innermost words of an error of docker's client, in one line."""
    text = str(getattr(error, "explanation", None) or error)
    for pattern in (r"\[Errno \d+\] ([^')]+)", r"(No such file or directory|Connection refused|Permission denied)"):
        if match := re.search(pattern, text):
            return match.group(1).strip()
    return text.strip().splitlines()[-1] if text.strip() else type(error).__name__


def tame_testcontainers() -> None:
    """Switch off what the harness does itself: the reaper (ours is `sweep`), the image prefix (ours is `images`),
    logins (done when images are pulled), and the choice of an engine: from here on all clients have the same."""
    testcontainers_config.ryuk_disabled = True
    testcontainers_config.hub_image_name_prefix = ""
    testcontainers_config._docker_auth_config = None
    testcontainers_config.tc_properties = {}
    os.environ.setdefault("DOCKER_HOST", DEFAULT_SOCKET)
