"""Which runtime a run takes, and which real servers the process runtime has: asked of this machine, told in words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from harness.config.settings import Settings
from harness.errors import RuntimeUnavailable, UsageError
from harness.model import RuntimeName, ServicePlan
from harness.plan import Choice
from harness.runtimes.ssh.reach import reach
from harness.services import kind_named
from harness.services.base import Binary


def choose_runtime(
    settings: Settings, images: Mapping[str, tuple[str, ...]], ids: Mapping[str, tuple[str, ...]]
) -> Choice:
    """The runtime: the one that was asked for, or what `auto` comes to here. `images` says where each may come from,
    `ids` what they are by the lock.

    An engine whose services could not be reached is refused here, before anything is started or any library is loaded;
    one over ssh is connected to.
    An explicit choice never degrades, and neither does `auto` with CI set, unless that is allowed by name.
    Raises RuntimeUnavailable.
    """
    wanted = settings["runtime"]
    if settings["engines"]:
        return _on_engines(settings)
    if wanted != "auto":
        if wanted == RuntimeName.DOCKER:
            reach(os.environ.get("DOCKER_HOST", ""), settings["ssh_config"])
        return Choice(RuntimeName(wanted), f"asked for by {settings.origin('runtime')}")
    obstacle = _no_docker(settings, images, ids)
    if not obstacle:
        return Choice(RuntimeName.DOCKER, "auto: the engine answers and has, or can pull, every image")
    if os.environ.get("CI") and not settings["allow_degrade"]:
        raise RuntimeUnavailable(
            f"CI is set, so `auto` does not fall back to processes: {obstacle}",
            "start an engine, name --runtime process, or give --allow-degrade",
        )
    return Choice(RuntimeName.PROCESS, f"auto: {obstacle}")


def _on_engines(settings: Settings) -> Choice:
    """Engines that were named run containers, whatever else this machine has."""
    count = len(settings["engines"])
    reach_engines(settings)
    return Choice(RuntimeName.DOCKER, f"{count} engine{'s' * (count > 1)} by {settings.origin('engines')}")


def reach_engines(settings: Settings) -> None:
    """Have a way to each engine that was named, also to those over ssh. Raises RuntimeUnavailable."""
    for engine in settings["engines"]:
        reach(engine, settings["ssh_config"])


def refuse_engines_without_containers(settings: Settings) -> None:
    """Raises UsageError when engines were named for a runtime that has none."""
    if settings["engines"] and settings["runtime"] not in ("auto", RuntimeName.DOCKER):
        raise UsageError(
            f"engines by {settings.origin('engines')}, and runtime {settings['runtime']} by "
            f"{settings.origin('runtime')}: expected runtime docker, or auto",
            "leave one of the two away",
        )


def _no_docker(settings: Settings, images: Mapping[str, tuple[str, ...]], ids: Mapping[str, tuple[str, ...]]) -> str:
    """Why containers cannot be had; empty when they can. The libraries are loaded only if there may be an engine."""
    host = os.environ.get("DOCKER_HOST", "")
    if not host and not Path("/var/run/docker.sock").exists():
        return "no docker engine: no DOCKER_HOST and no /var/run/docker.sock"
    try:
        reach(host, settings["ssh_config"])
    except RuntimeUnavailable as error:
        return error.message
    from harness.runtimes.docker.asking import why_not

    return why_not(images, settings["pull"], ids)


NO_BINARY = "emulator"
"""What `--binaries` names instead of a path where the emulator is wanted although a real server may be on PATH."""


def find_binaries(settings: Settings, services: Mapping[str, ServicePlan]) -> dict[str, Binary | None]:
    """The real server of each service, None where none is found. Raises PlanError for a bad `--binaries`."""
    configured = dict(item.partition("=")[::2] for item in settings["binaries"])
    for kind in configured:
        kind_named(kind)
    emulated = {kind for kind, program in configured.items() if program == NO_BINARY}
    return {
        name: None
        if service.kind in emulated
        else kind_named(service.kind).find_binary(configured.get(service.kind, ""))
        for name, service in services.items()
        if service.kind
    }
