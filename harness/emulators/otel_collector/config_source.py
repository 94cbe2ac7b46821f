"""Reading configuration files as the Collector's confmap does: YAML, `${env:X:-default}`, maps merged in order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.emulators.runner import ConfigError

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPED = "\0"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(locations: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """The merged, expanded configuration. Raises ConfigError in the Collector's words."""
    merged: dict[str, Any] = {}
    for location in locations:
        merged = _merge(merged, _read(location))
    return {key: _expand(value, environment) for key, value in merged.items()}


def _read(location: str) -> dict[str, Any]:
    scheme, colon, rest = location.partition(":")
    if colon and scheme in {"env", "http", "https", "yaml"}:
        raise ConfigError(f"Error: --config {location}: the {scheme} provider is not emulated (501), use a file")
    path = Path(rest if scheme == "file" else location)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"Error: failed to get config: cannot resolve the configuration: cannot retrieve the configuration: "
            f"unable to read the file file:{path}: open {path}: {(error.strerror or str(error)).lower()}"
        ) from error
    return _parse(path, text)


def _parse(path: Path, text: str) -> dict[str, Any]:
    prefix = "Error: failed to get config: cannot resolve the configuration: cannot retrieve the configuration:"
    try:
        parsed = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, in C where it was built
    except yaml.YAMLError as error:
        raise ConfigError(f"{prefix} yaml: {' '.join(str(error).split())} (file:{path})") from error
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        kind = {"str": "string", "list": "[]interface {}", "float": "float64"}.get(name := type(parsed).__name__, name)
        where = prefix.removesuffix(" cannot retrieve the configuration:")
        raise ConfigError(f"{where} retrieved value (type={kind}) cannot be used as a Conf")
    return parsed


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _expand(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environment) for item in value]
    return expand_text(value, environment) if isinstance(value, str) and "$" in value else value


def expand_text(text: str, environment: Mapping[str, str]) -> Any:
    """One scalar. A value that is one reference takes the type YAML gives its text; inside a text it stays text."""
    text = text.replace("$$", _ESCAPED)
    whole = _REFERENCE.fullmatch(text)
    while found := _REFERENCE.search(text):
        text = text[: found.start()] + _lookup(found[1], environment).replace("$", _ESCAPED) + text[found.end() :]
        whole = whole or _REFERENCE.fullmatch(text)
    text = text.replace(_ESCAPED, "$")
    return yaml.load(text, Loader=_Loader) if whole else text  # noqa: S506 - a safe loader, in C where it was built


def _lookup(reference: str, environment: Mapping[str, str]) -> str:
    scheme, colon, rest = reference.partition(":")
    if colon and not rest.startswith("-"):
        if scheme != "env":
            raise ConfigError(
                f'Error: failed to get config: cannot resolve the configuration: scheme "{scheme}" is not supported '
                f'for uri "{reference}" (only env is emulated, 501)'
            )
        reference = rest
    name, has_default, default = reference.partition(":-")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f'Error: failed to get config: cannot resolve the configuration: environment variable "{name}" has invalid '
            f"name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$"
        )
    return environment.get(name, default if has_default else "")
