"""Volumes, tmpfs, configs and secrets of a service, as mounts.

A bind mount whose source does not exist becomes an empty volume of the run, where Compose would leave an empty
directory behind. It is an error where something was meant to be there: mounted read-only, a name with an extension.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.config import compose_schema as schema
from harness.config.yaml_lines import Place
from harness.errors import ComposeError
from harness.model import Mount

_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
SECRETS = "/run/secrets"

Fail = Callable[[str, Place, str], ComposeError]


class MountReader:
    """Reads the mounts of services against the top level of the same file."""

    def __init__(self, data: Any, base: Path, variables: Mapping[str, str], fail: Fail) -> None:
        self.data, self.base, self.variables, self.fail = data, base, variables, fail

    def mounts(self, name: str, parsed: schema.Service) -> tuple[Mount, ...]:
        """Every mount of a service. Raises ComposeError."""
        return (
            *(self.volume(name, index, item) for index, item in enumerate(parsed.volumes)),
            *(self.text(name, "configs", index, item, "/") for index, item in enumerate(parsed.configs)),
            *(self.text(name, "secrets", index, item, f"{SECRETS}/") for index, item in enumerate(parsed.secrets)),
            *_tmpfs(parsed),
        )

    # -- volumes --------------------------------------------------------------------------------------------------

    def volume(self, name: str, index: int, item: str | schema.VolumeMount) -> Mount:
        """One entry of `volumes`."""
        if isinstance(item, str):
            return self.short(name, index, item)
        if item.type == "tmpfs":
            options = {"size": item.tmpfs.size, "mode": item.tmpfs.mode}
            return Mount("tmpfs", item.target, ",".join(f"{key}={value}" for key, value in options.items() if value))
        if item.type == "volume":
            return Mount("volume", item.target, item.source or f"{name}-{index}", item.read_only)
        source = (self.base / Path(item.source).expanduser()).resolve()
        if not source.exists() and not item.bind.create_host_path:
            raise self.fail(name, ("volumes", index), f"{source}: no such file or directory")
        return self.bound(name, index, source, item.target, item.read_only)

    def short(self, name: str, index: int, text: str) -> Mount:
        """`[SOURCE:]/TARGET[:ro]`."""
        source, *rest = text.split(":")
        if not rest and source.startswith("/"):
            return Mount("volume", source, f"{name}-{index}")
        target, options = rest[0] if rest else "", rest[1].split(",") if len(rest) > 1 else []
        if not target.startswith("/"):
            raise self.fail(name, ("volumes", index), f"expected SOURCE:/TARGET[:ro], found {text!r}")
        if not source:
            raise self.fail(name, ("volumes", index), f"the source of {text!r} is empty; is its variable set?")
        if source.startswith((".", "/", "~")):
            return self.bound(name, index, (self.base / Path(source).expanduser()).resolve(), target, "ro" in options)
        if not _VOLUME.fullmatch(source):
            raise self.fail(name, ("volumes", index), f"{source!r} names no volume; does the path lack its `./`?")
        return Mount("volume", target, source, "ro" in options)

    def bound(self, name: str, index: int, source: Path, target: str, read_only: bool) -> Mount:
        """A path of the host, or what stands in for one that is not there."""
        if source.exists():
            return Mount("bind", target, str(source), read_only)
        if read_only or source.suffix not in {"", ".d"}:
            raise self.fail(name, ("volumes", index), f"{source}: no such file or directory")
        place = source.relative_to(self.base) if source.is_relative_to(self.base) else source
        return Mount("volume", target, "path-" + re.sub(r"[^A-Za-z0-9.-]+", "_", str(place)).strip("_"))

    # -- configs and secrets ------------------------------------------------------------------------------------------

    def text(self, name: str, section: str, index: int, item: str | schema.ConfigMount, above: str) -> Mount:
        """One entry of `configs` or `secrets`; a target that is no path lies under `above`."""
        entry = schema.ConfigMount(source=item) if isinstance(item, str) else item
        config = self.declared(name, section, index, entry.source)
        target = entry.target or entry.source
        target = target if target.startswith("/") else above + target
        if config.environment:
            return Mount("content", target, self.variables.get(config.environment, ""), True)
        if not config.file:
            return Mount("content", target, config.content, True)
        file = (self.base / Path(config.file).expanduser()).resolve()
        if not file.exists():
            raise self.fail(name, (section, index), f"{file}: no such file")
        return Mount("bind", target, str(file), True)

    def declared(self, name: str, section: str, index: int, source: str) -> schema.Config:
        """What the top level says of a config or a secret."""
        found = (self.data.get(section) or {}).get(source)
        if found is None:
            one = section.removesuffix("s")
            raise self.fail(name, (section, index), f"{one} {source!r} is not declared at the top level")
        try:
            return schema.Config.model_validate(found)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join((section, source, *map(str, first["loc"])))
            raise self.fail(name, (section, index), f"{key}: {first['msg'].removeprefix('Value error, ')}") from error


def _tmpfs(parsed: schema.Service) -> tuple[Mount, ...]:
    items = [parsed.tmpfs] if isinstance(parsed.tmpfs, str) else parsed.tmpfs
    return tuple(Mount("tmpfs", item.partition(":")[0], item.partition(":")[2]) for item in items)
