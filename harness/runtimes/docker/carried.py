"""What a container on another machine gets of this one's files: copies, made before its first start.

A directory becomes a volume that the copies lie in, so that it hides what the image has there, as a mount does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import PlanError
from harness.model import Mount, ServicePlan
from harness.runtimes.docker.request import CONFIG_MODE, Copied

LARGEST = 64 * 1024 * 1024
"""Bytes of one mount that are copied into each container; more belongs into an image or a volume."""
EXECUTABLE = 0o111


def refuse_uncarried(services: Mapping[str, ServicePlan]) -> None:
    """Raises PlanError for the first mount that cannot be had on another machine than this."""
    for service in services.values():
        for mount in service.mounts:
            if mount.kind == "bind":
                _refuse(service, mount)
            if mount.kind in {"bind", "content"} and (why := _out_of_reach(service, mount)):
                raise _cannot(
                    service, mount, why, "leave `read_only` or the tmpfs away, or put the file into the image"
                )


def _refuse(service: ServicePlan, mount: Mount) -> None:
    source = Path(mount.source)
    if not mount.read_only:
        why = "it may be written, and what is written there does not come back here"
        raise _cannot(service, mount, why, "mount it read-only (`:ro`), or use a volume")
    if not source.exists():
        raise _cannot(service, mount, "there is no such file or directory here", "mend the path")
    if not (source.is_file() or source.is_dir()):
        raise _cannot(service, mount, "it is neither a file nor a directory", "leave it away")
    try:
        size = sum(file.stat().st_size for file in _files(source))
    except OSError as error:
        raise _cannot(service, mount, f"{error.filename}: {error.strerror}", "make it readable") from error
    if size > LARGEST:
        why = f"its {size / 1e6:.0f} MB are more than {LARGEST / 1e6:.0f} MB, which is copied at most"
        raise _cannot(service, mount, why, "put it into the image, or into a volume")


def _out_of_reach(service: ServicePlan, mount: Mount) -> str:
    """Why nothing can be copied to where a mount is to be; empty when it can."""
    if service.read_only:
        return "the container's root is read-only, so nothing can be copied into it"
    if hidden_by_tmpfs(service, mount):
        return "it lies in a tmpfs, which is empty when the container starts"
    return ""


def hidden_by_tmpfs(service: ServicePlan, mount: Mount) -> bool:
    """Whether what is copied to a mount's place would not be seen."""
    return any(
        other.kind == "tmpfs" and mount.target.startswith(other.target.rstrip("/") + "/") for other in service.mounts
    )


def copies(service: ServicePlan, mount: Mount) -> dict[str, Copied]:
    """The files of a bind mount by their paths in the container; every user there may read them. Raises PlanError."""
    source, target = Path(mount.source), mount.target.rstrip("/")
    try:
        return {
            target if file == source else f"{target}/{file.relative_to(source)}": Copied(
                file.read_bytes(), CONFIG_MODE | (file.stat().st_mode & EXECUTABLE)
            )
            for file in _files(source)
        }
    except OSError as error:
        raise _cannot(service, mount, f"{error.filename}: {error.strerror}", "make it readable") from error


def _files(source: Path) -> Iterator[Path]:
    """The file itself, or all below the directory."""
    if source.is_file():
        yield source
        return
    for directory, _, names in os.walk(source):
        for name in sorted(names):
            if (file := Path(directory, name)).is_file():
                yield file


def _cannot(service: ServicePlan, mount: Mount, why: str, step: str) -> PlanError:
    what = mount.source if mount.kind == "bind" else "the inline config"
    return PlanError(f"service {service.name}: {what} cannot be at {mount.target} on another machine: {why}", step)
