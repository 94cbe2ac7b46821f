"""Reading compose files into service plans: interpolation, overlays, normalisation; errors that name the place.

A strict reader of a documented subset, for machines without `docker compose`. The result is not bound to kinds
yet; `harness.plan` does that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.config import compose_schema as schema
from harness.config.interpolation import InterpolationError, interpolate
from harness.config.yaml_lines import Document, Place, load
from harness.errors import ComposeError
from harness.model import Health, Limits, Mount, Port, ServicePlan

_REPLACED_LISTS = frozenset({"command", "entrypoint", "test", "cap_drop", "cap_add"})
_PAIR_KEYS = frozenset({"environment", "sysctls", "extra_hosts"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # it names files and hosts


@dataclass(frozen=True)
class ComposeFile:
    """What one or more compose files say: the project's name and its services (`kind` as `x-harness` gives it)."""

    name: str
    services: Mapping[str, ServicePlan]
    files: tuple[Path, ...]


def read(files: Sequence[Path], variables: Mapping[str, str]) -> ComposeFile:
    """Read compose files, later ones laid over earlier ones. `variables` feed the interpolation.

    Relative host paths are resolved against the first file's directory, as Compose does.
    Raises ComposeError for anything that is malformed or not supported.
    """
    if not files:
        raise ComposeError("no compose file given", "name one with --compose")
    documents = [load(file) for file in files]
    for document in documents:
        _check_top(document)
    data = _interpolated(documents[0], documents[0].data, variables)
    for overlay in documents[1:]:
        data = _merged(data, _interpolated(overlay, overlay.data, variables))
    reader = _Reader(documents, data, files[0].resolve().parent, variables)
    services = {str(name): reader.service(str(name), entry) for name, entry in reader.entries().items()}
    _check_references(documents[0], services)
    return ComposeFile(str(data.get("name") or files[0].resolve().parent.name), services, tuple(files))


def _check_top(document: Document) -> None:
    for key in document.data:
        if key in schema.TOP_LEVEL or str(key).startswith("x-"):
            continue
        expected = ", ".join(sorted(schema.TOP_LEVEL))
        raise ComposeError(f"{document.where((str(key),))}: unsupported top-level key {key!r}: expected {expected}")
    for key in ("services", "configs"):
        if not isinstance(document.data.get(key) or {}, dict):
            raise ComposeError(f"{document.where((key,))}: {key}: expected a mapping of {key}")


def _interpolated(document: Document, value: Any, variables: Mapping[str, str], place: Place = ()) -> Any:
    if isinstance(value, dict):
        return {key: _interpolated(document, item, variables, (*place, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolated(document, item, variables, (*place, index)) for index, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    try:
        return interpolate(value, variables)
    except InterpolationError as error:
        raise ComposeError(f"{document.where(place)}: {'.'.join(map(str, place))}: {error}") from error


def _merged(base: Any, over: Any, key: str = "") -> Any:
    """Compose's merge: mappings by key, sequences appended, commands and single values replaced."""
    if key in _PAIR_KEYS and isinstance(base, (dict, list)) and isinstance(over, (dict, list)):
        return {**_by_name(base), **_by_name(over)}
    if isinstance(base, dict) and isinstance(over, dict):
        both = {name: _merged(base[name], over[name], str(name)) for name in base.keys() & over.keys()}
        return {**base, **over, **both}
    if isinstance(base, list) and isinstance(over, list) and key not in _REPLACED_LISTS:
        return [*base, *(item for item in over if item not in base)]
    return over


def _by_name(pairs: dict[Any, Any] | list[Any]) -> dict[Any, Any]:
    """Both forms of pairs as a mapping; what is wrong with them is found when the service is parsed."""
    return pairs if isinstance(pairs, dict) else schema.pairs(pairs)


def _check_references(document: Document, services: Mapping[str, ServicePlan]) -> None:
    for name, service in services.items():
        for needed in service.depends_on:
            if needed not in services:
                place = document.where(("services", name, "depends_on"))
                known = ", ".join(sorted(services))
                raise ComposeError(f"{place}: service {name}: depends_on {needed!r}: no such service; known: {known}")


class _Reader:
    """Turns the merged data into plans. Holds the documents only to name places in errors."""

    def __init__(self, documents: list[Document], data: Any, base: Path, variables: Mapping[str, str]) -> None:
        self.documents, self.data, self.base, self.variables = documents, data, base, variables

    def entries(self) -> dict[str, Any]:
        entries = self.data.get("services") or {}
        if not entries:
            raise ComposeError(f"{self.documents[0].file}: no services", "add at least one under `services:`")
        return dict(entries)

    def fail(self, service: str, place: Place, message: str) -> ComposeError:
        full = ("services", service, *place)
        document = next((item for item in reversed(self.documents) if full[:3] in item.lines), self.documents[0])
        key = ".".join(str(part) for part in place) or "(entry)"
        return ComposeError(f"{document.where(full)}: service {service}: {key}: {message}")

    def service(self, name: str, entry: Any) -> ServicePlan:
        parsed = self.parse(name, entry)
        if not parsed.image:
            raise self.fail(name, (), "expected `image`")
        limits = parsed.deploy.resources.limits
        return ServicePlan(
            name=name,
            image=parsed.image,
            kind=parsed.x_harness.kind or None,
            pinned=self.pinned(name, parsed.image),
            stand_in=parsed.x_harness.fidelity == "emulator",
            command=parsed.command,
            entrypoint=parsed.entrypoint,
            environment=self.environment(name, parsed),
            mounts=(*self.volumes(name, parsed), *self.configs(name, parsed), *_tmpfs(parsed)),
            ports=tuple(self.port(name, index, port) for index, port in enumerate(parsed.ports)),
            health=_health(parsed.healthcheck),
            depends_on=parsed.depends_on,
            user=parsed.user,
            read_only=parsed.read_only,
            cap_add=tuple(parsed.cap_add),
            cap_drop=tuple(parsed.cap_drop),
            security_opt=tuple(parsed.security_opt),
            limits=Limits(
                parsed.mem_limit or limits.memory, parsed.cpus or limits.cpus, parsed.pids_limit or limits.pids
            ),
            stop_grace=parsed.stop_grace_period,
            hostname=parsed.hostname,
            origin=self.documents[0].where(("services", name)),
        )

    def pinned(self, name: str, image: str) -> str:
        """The image that the first file names for a service: an overlay may replace it, the pin stays."""
        first = self.documents[0].data["services"].get(name) or {}
        named = first.get("image") if isinstance(first, dict) else None
        return interpolate(str(named), self.variables) if named else image

    def parse(self, name: str, entry: Any) -> schema.Service:
        if not _NAME.fullmatch(str(name)):
            raise self.fail(str(name), (), "expected a name of letters, digits, `.`, `_` and `-`")
        if not isinstance(entry, dict):
            raise self.fail(name, (), f"expected a mapping, found {type(entry).__name__}")
        kept = {
            key: value
            for key, value in entry.items()
            if key not in schema.WITHOUT_EFFECT and (key == "x-harness" or not str(key).startswith("x-"))
        }
        try:
            return schema.Service.model_validate(kept)
        except ValidationError as error:
            raise self.explain(name, error) from error

    def explain(self, name: str, error: ValidationError) -> ComposeError:
        found = error.errors()
        first = max((item for item in found if item["loc"][0] == found[0]["loc"][0]), key=lambda item: len(item["loc"]))
        place = tuple(part for part in first["loc"] if isinstance(part, int) or not _is_form(part))
        if first["type"] == "extra_forbidden":
            return self.fail(name, place, "unsupported key; see docs/compose.md for what is read")
        return self.fail(name, place, first["msg"].removeprefix("Value error, "))

    def environment(self, name: str, parsed: schema.Service) -> dict[str, str]:
        merged: dict[str, str] = {}
        files = [parsed.env_file] if isinstance(parsed.env_file, str) else parsed.env_file
        for item in files:
            entry = schema.EnvFile(path=item) if isinstance(item, str) else item
            merged.update(self.env_file(name, self.base / entry.path, entry.required))
        for key, value in parsed.environment.items():
            if value is not None:
                merged[key] = value
            elif key in self.variables:
                merged[key] = self.variables[key]
        return merged

    def env_file(self, name: str, file: Path, required: bool) -> dict[str, str]:
        if not file.is_file():
            if required:
                raise self.fail(name, ("env_file",), f"{file}: no such file")
            return {}
        lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
        split = [line.partition("=") for line in lines if line and not line.startswith("#") and "=" in line]
        return {key.strip(): value.strip().strip("\"'") for key, _, value in split}

    def volumes(self, name: str, parsed: schema.Service) -> tuple[Mount, ...]:
        mounts = []
        for index, item in enumerate(parsed.volumes):
            if isinstance(item, str):
                mounts.append(self.short_volume(name, index, item))
            else:
                source = str(self.base / item.source) if item.type == "bind" else item.source
                mounts.append(Mount(item.type, item.target, source, item.read_only))
        for mount in mounts:
            if mount.kind == "bind" and not Path(mount.source).exists():
                raise self.fail(name, ("volumes",), f"{mount.source}: no such file or directory")
        return tuple(mounts)

    def short_volume(self, name: str, index: int, text: str) -> Mount:
        source, *rest = text.split(":")
        if not rest and source.startswith("/"):
            return Mount("volume", source, f"{name}-{index}")
        target, options = rest[0] if rest else "", rest[1].split(",") if len(rest) > 1 else []
        if not target.startswith("/"):
            raise self.fail(name, ("volumes", index), f"expected SOURCE:/TARGET[:ro], found {text!r}")
        if source.startswith((".", "/", "~")):
            host = Path(source).expanduser()
            return Mount("bind", target, str((self.base / host).resolve()), "ro" in options)
        return Mount("volume", target, source, "ro" in options)

    def configs(self, name: str, parsed: schema.Service) -> tuple[Mount, ...]:
        mounts = []
        for index, item in enumerate(parsed.configs):
            entry = schema.ConfigMount(source=item) if isinstance(item, str) else item
            config = self.config(name, index, entry.source)
            target = entry.target or f"/{entry.source}"
            if config.file:
                mounts.append(Mount("bind", target, str((self.base / config.file).resolve()), True))
            else:
                mounts.append(Mount("content", target, config.content, True))
        return tuple(mounts)

    def config(self, name: str, index: int, source: str) -> schema.Config:
        declared = (self.data.get("configs") or {}).get(source)
        if declared is None:
            raise self.fail(name, ("configs", index), f"config {source!r} is not declared at the top level")
        try:
            return schema.Config.model_validate(declared)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(("configs", source, *map(str, first["loc"])))
            raise self.fail(name, ("configs", index), f"{key}: {first['msg'].removeprefix('Value error, ')}") from error

    def port(self, name: str, index: int, item: str | int | schema.PublishedPort) -> Port:
        text = f"{item.target}/{item.protocol}" if isinstance(item, schema.PublishedPort) else str(item)
        inner, _, protocol = text.rpartition(":")[2].partition("/")
        if not re.fullmatch(r"[0-9]+", inner):
            raise self.fail(name, ("ports", index), f"expected [HOST:]CONTAINER[/PROTOCOL], found {item!r}")
        return Port(inner, int(inner), "udp" if protocol == "udp" else "tcp")


def _is_form(part: str) -> bool:
    """Whether pydantic's location names one of several forms of a value (`str`, `VolumeMount`), not a key."""
    return part in {"str", "int"} or "[" in part or part[:1].isupper()


def _tmpfs(parsed: schema.Service) -> tuple[Mount, ...]:
    items = [parsed.tmpfs] if isinstance(parsed.tmpfs, str) else parsed.tmpfs
    return tuple(Mount("tmpfs", item.partition(":")[0], item.partition(":")[2]) for item in items)


def _health(check: schema.HealthCheck | None) -> Health | None:
    if check is None:
        return None
    test = () if check.disable or check.test[:1] == ("NONE",) else check.test
    return Health(test, check.interval, check.timeout, check.retries, check.start_period)
