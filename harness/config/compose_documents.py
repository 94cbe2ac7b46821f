"""From compose files to one mapping: interpolation, `extends`, `include`, overlays. Knows no keys of a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.config import compose_schema as schema
from harness.config import env_file
from harness.config.compose_merge import merged, rebased, untagged
from harness.config.interpolation import InterpolationError, interpolate
from harness.config.yaml_lines import Document, Place, Tagged, load
from harness.errors import ComposeError

SHARED = ("services", "volumes", "networks", "configs", "secrets")
DEEPEST = 20
"""How far `include` and `extends` may lead; only a circle goes further."""


@dataclass
class Gathered:
    """One mapping from several files, and the documents it came from, for naming places."""

    data: dict[str, Any] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)


def gather(files: Sequence[Path], variables: Mapping[str, str], depth: int = 0) -> Gathered:
    """Read files, later ones laid over earlier ones. Raises ComposeError."""
    found = Gathered()
    for file in files:
        document = load(file)
        found.documents.append(document)
        try:
            data = _application(document, files[0], variables, found, depth)
        except RecursionError as error:
            raise ComposeError(f"{file}: an alias points back at what holds it", "mend the file") from error
        found.data = merged(found.data, data) if found.data else data
    found.data = untagged(found.data)
    return found


def _application(
    document: Document, first: Path, variables: Mapping[str, str], found: Gathered, depth: int
) -> dict[str, Any]:
    """What one file says, with what it includes and what its services extend."""
    _check_top(document)
    data: dict[str, Any] = interpolated(document, document.data, variables)
    services = data.get("services")
    if isinstance(services, dict):
        chain = _Chain(document, data, variables)
        data["services"] = {name: chain.extended(str(name), entry) for name, entry in services.items()}
    for item in _includes(document, data.pop("include", None)):
        _include(document, item, first, variables, found, data, depth)
    return data


def _check_top(document: Document) -> None:
    for key in document.data:
        if key in schema.TOP_LEVEL or str(key).startswith("x-"):
            continue
        expected = ", ".join(sorted(schema.TOP_LEVEL))
        raise ComposeError(f"{document.where((str(key),))}: unsupported top-level key {key!r}: expected {expected}")
    for key in SHARED:
        if not isinstance(document.data.get(key) or {}, (dict, Tagged)):
            raise ComposeError(f"{document.where((key,))}: {key}: expected a mapping of {key}")


def interpolated(document: Document, value: Any, variables: Mapping[str, str], place: Place = ()) -> Any:
    """A copy of `value` with every variable replaced. Raises ComposeError naming the place."""
    if isinstance(value, dict):
        return {key: interpolated(document, item, variables, (*place, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(document, item, variables, (*place, index)) for index, item in enumerate(value)]
    if isinstance(value, Tagged):
        return Tagged(value.tag, interpolated(document, value.value, variables, place))
    if not isinstance(value, str) or "$" not in value:
        return value
    try:
        return interpolate(value, variables)
    except InterpolationError as error:
        raise ComposeError(f"{document.where(place)}: {'.'.join(map(str, place))}: {error}") from error


# -- include --------------------------------------------------------------------------------------------------------


def _includes(document: Document, items: Any) -> list[dict[str, Any]]:
    """Every entry of `include` in its long form."""
    found: list[Any] = [] if items is None else items if isinstance(items, list) else [items]
    entries = [{"path": item} if isinstance(item, str) else item for item in found]
    for item in entries:
        if not isinstance(item, dict) or not item.get("path") or set(item) - {"path", "project_directory", "env_file"}:
            raise ComposeError(
                f"{document.where(('include',))}: include: expected a list of files, or of mappings with `path`"
            )
    return entries


def _include(
    document: Document,
    item: dict[str, Any],
    first: Path,
    variables: Mapping[str, str],
    found: Gathered,
    data: dict[str, Any],
    depth: int,
) -> None:
    """Add what another compose file says, which must not be said here too. Its paths are its own directory's."""
    where = f"{document.where(('include',))}: include"
    if depth > DEEPEST:
        raise ComposeError(f"{where}: goes in a circle", "remove one of them")
    files = [first.parent / path for path in schema.texts(item["path"])]
    home = first.parent / item.get("project_directory", files[0].parent)
    names = [home / path for path in schema.texts(item["env_file"])] if item.get("env_file") else [home / ".env"]
    known = dict(variables)
    for name in names:
        known = {**(env_file.read(name, variables) if name.is_file() else {}), **known}
    other = gather(files, known, depth + 1)
    found.documents[:0] = other.documents
    for key in SHARED:
        theirs, ours = rebased(other.data, home).get(key) or {}, data.get(key) or {}
        if both := sorted(name for name in theirs.keys() & ours.keys() if theirs[name] != ours[name]):
            raise ComposeError(f"{where}: {files[0]}: {key} {', '.join(map(str, both))}: declared here too")
        data[key] = {**theirs, **ours}


# -- extends --------------------------------------------------------------------------------------------------------


class _Chain:
    """Resolves `extends` for the services of one document."""

    def __init__(self, document: Document, data: dict[str, Any], variables: Mapping[str, str], depth: int = 0) -> None:
        self.document, self.data, self.variables, self.depth = document, data, variables, depth

    def extended(self, name: str, entry: Any, seen: tuple[str, ...] = ()) -> Any:
        """A service laid over the one that it extends."""
        if not isinstance(entry, dict) or "extends" not in entry:
            return entry
        wanted = entry["extends"]
        spec = {"service": wanted} if isinstance(wanted, str) else wanted
        if not isinstance(spec, dict) or not spec.get("service") or set(spec) - {"service", "file"}:
            raise self._fail(name, "expected a service, or a mapping with `service` and `file`")
        if name in seen or self.depth > DEEPEST:
            raise self._fail(name, "goes in a circle")
        base = self._base(name, spec, (*seen, name))
        return merged(base, {key: value for key, value in entry.items() if key != "extends"})

    def _base(self, name: str, spec: dict[str, Any], seen: tuple[str, ...]) -> Any:
        service, file = str(spec["service"]), spec.get("file")
        if not file:
            return self.extended(service, self._entry(name, self.data, service), seen)
        document = load(self.document.file.parent / str(file))
        _check_top(document)
        data = untagged(interpolated(document, document.data, self.variables))
        chain = _Chain(document, data, self.variables, self.depth + 1)
        found = chain.extended(service, self._entry(name, data, service))
        return rebased({"services": {service: found}}, document.file.parent)["services"][service]

    def _entry(self, name: str, data: dict[str, Any], service: str) -> Any:
        entry = (data.get("services") or {}).get(service)
        if not isinstance(entry, dict):
            raise self._fail(name, f"no service {service!r} to extend")
        return entry

    def _fail(self, name: str, message: str) -> ComposeError:
        place = self.document.where(("services", name, "extends"))
        return ComposeError(f"{place}: service {name}: extends: {message}")
