"""Laying one piece of a compose file over another, and moving one to another directory. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.config import compose_schema as schema
from harness.config.yaml_lines import Tagged

_REPLACED_LISTS = frozenset({"command", "entrypoint", "test", "cap_drop", "cap_add"})
_UNIQUE_TARGETS = frozenset({"volumes", "configs", "secrets"})
"""Entries of an overlay replace those of the same target. Source: Compose specification, "Merge"."""
_PAIR_KEYS = frozenset({"environment", "sysctls", "labels"})


def merged(base: Any, over: Any, key: str = "") -> Any:
    """Compose's merge: mappings by key, sequences appended, commands and single values replaced."""
    if isinstance(base, Tagged):
        base = base.value if base.tag == "override" else None
    if key in _PAIR_KEYS and isinstance(base, (dict, list)) and isinstance(over, (dict, list)):
        return {**_by_name(base), **_by_name(over)}
    if key == "depends_on" and {type(base), type(over)} == {dict, list}:
        base, over = _needs(base), _needs(over)
    if isinstance(base, dict) and isinstance(over, dict):
        both = {name: merged(base[name], over[name], str(name)) for name in base.keys() & over.keys()}
        return {**base, **over, **both}
    if isinstance(base, list) and isinstance(over, list) and key not in _REPLACED_LISTS:
        replaced = {_target(item) for item in over} if key in _UNIQUE_TARGETS else set()
        kept = [item for item in base if item in over or _target(item) not in replaced]
        return [*kept, *(item for item in over if item not in kept)]
    return over


def _target(item: Any) -> str:
    """Where an entry of `volumes`, `configs` or `secrets` is seen in the container."""
    if isinstance(item, dict):
        return str(item.get("target") or item.get("source", ""))
    first, _, rest = str(item).partition(":")
    return (rest.partition(":")[0] or first).rstrip("/")


def _by_name(pairs: dict[Any, Any] | list[Any]) -> dict[Any, Any]:
    """Both forms of pairs as a mapping; what is wrong with them is found when the service is parsed."""
    return pairs if isinstance(pairs, dict) else schema.pairs(pairs)


def _needs(needed: Any) -> dict[Any, Any]:
    return needed if isinstance(needed, dict) else {str(name): {"condition": "service_started"} for name in needed}


def untagged(value: Any) -> Any:
    """What stays when all is laid over each other: `!reset` keys are gone, `!override` is its value."""
    if isinstance(value, Tagged):
        return untagged(value.value) if value.tag == "override" else None
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if not (isinstance(item, Tagged) and item.tag == "reset")}
        return {key: untagged(item) for key, item in kept.items()}
    if isinstance(value, list):
        return [untagged(item) for item in value]
    return value


def rebased(data: dict[str, Any], directory: Path) -> dict[str, Any]:
    """The same with every relative path of the host made absolute from `directory`."""
    found = dict(data)
    if isinstance(data.get("services"), dict):
        found["services"] = {name: _service(entry, directory) for name, entry in data["services"].items()}
    for key in ("configs", "secrets"):
        if isinstance(data.get(key), dict):
            found[key] = {name: _with(entry, "file", directory) for name, entry in data[key].items()}
    return found


def _service(entry: Any, directory: Path) -> Any:
    if not isinstance(entry, dict):
        return entry
    found = dict(entry)
    files = entry.get("env_file")
    if isinstance(files, str):
        found["env_file"] = _absolute(files, directory)
    elif isinstance(files, list):
        found["env_file"] = [
            _absolute(item, directory) if isinstance(item, str) else _with(item, "path", directory) for item in files
        ]
    if isinstance(entry.get("volumes"), list):
        found["volumes"] = [_volume(item, directory) for item in entry["volumes"]]
    return found


def _volume(item: Any, directory: Path) -> Any:
    if isinstance(item, dict):
        return _with(item, "source", directory) if item.get("type") == "bind" else item
    source, colon, rest = str(item).partition(":")
    return f"{_absolute(source, directory)}{colon}{rest}" if colon and source.startswith(".") else item


def _with(entry: Any, key: str, directory: Path) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
        return entry
    return {**entry, key: _absolute(entry[key], directory)}


def _absolute(path: str, directory: Path) -> str:
    return str((directory / Path(path).expanduser()).resolve())
