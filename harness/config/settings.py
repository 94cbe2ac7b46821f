"""Settings of a run: default < file (`[tool.infra-harness]`) < `HARNESS_*` < flag; the winner can be named."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.config.options import INTERNAL_VARIABLES, OPTIONS, Option
from harness.credentials import without_password
from harness.errors import UsageError

TABLE = "infra-harness"
PREFIX = "HARNESS_"


@dataclass(frozen=True)
class Setting:
    """A value and where it came from: `default`, a file's path, a variable's name, or a flag."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Settings:
    """All settings of a run. `root` is the directory that relative paths of files were resolved against."""

    values: Mapping[str, Setting]
    root: Path

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value

    def origin(self, name: str) -> str:
        """Which source won for this setting."""
        return self.values[name].origin

    def with_value(self, name: str, value: Any, origin: str) -> Settings:
        """A copy with one setting replaced (a seed that was drawn, for example)."""
        return Settings(MappingProxyType({**self.values, name: Setting(value, origin)}), self.root)


def load(flags: Mapping[str, Any], environment: Mapping[str, str], root: Path) -> Settings:
    """Resolve every option. `flags` holds what was given on a command line, by option name, already split.

    Raises UsageError for an unknown `HARNESS_*` variable, an unknown key in the file, or a value that does not parse.
    """
    file, file_name = _read_table(root)
    _refuse_unknown_variables(environment)
    values = {}
    for option in OPTIONS:
        values[option.name] = _resolve(option, flags, environment, file, file_name)
    return Settings(MappingProxyType(values), root)


def _resolve(
    option: Option, flags: Mapping[str, Any], environment: Mapping[str, str], file: Mapping[str, Any], file_name: str
) -> Setting:
    if flags.get(option.name) not in (None, (), []):
        return Setting(_parse(option, flags[option.name], option.flag), option.flag)
    if option.variable in environment:
        return Setting(_parse(option, environment[option.variable], option.variable), option.variable)
    if option.name in file:
        return Setting(_parse(option, file[option.name], f"{file_name}: {option.name}"), file_name)
    return Setting(option.default, "default")


def _parse(option: Option, raw: Any, where: str) -> Any:
    if isinstance(raw, (list, tuple)):
        raw = ",".join(str(item) for item in raw)
    text = str(raw).lower() if isinstance(raw, bool) else str(raw)
    try:
        return option.parse(text)
    except ValueError as error:
        told = without_password(f"{where}={text!r}: {error}")
        raise UsageError(told, f"{option.help}") from error


def _read_table(root: Path) -> tuple[Mapping[str, Any], str]:
    file = root / "pyproject.toml"
    if not file.is_file():
        return {}, ""
    try:
        tools = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError) as error:  # ValueError: not TOML, or not UTF-8
        raise UsageError(f"{file}: {error}", "mend the file") from error
    table = tools.get(TABLE, {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{file}: [tool.{TABLE}]: expected a table, found {type(table).__name__}", "mend the file")
    known = [option.name for option in OPTIONS]
    for key in table:
        if key not in known:
            raise UsageError(f"{file}: unknown key {key!r} in [tool.{TABLE}]{_hint(key, known)}")
    return table, str(file)


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = [option.variable for option in OPTIONS]
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and name not in INTERNAL_VARIABLES:
            raise UsageError(f"unknown variable {name}{_hint(name, known)}", "unset it, or see `harness --help`")


def _hint(wrong: str, known: Iterable[str]) -> str:
    names = {name.removeprefix(PREFIX): name for name in known}  # what all have in common makes nothing similar
    near = difflib.get_close_matches(wrong.removeprefix(PREFIX), names, n=1)
    return f"; did you mean {names[near[0]]}?" if near else f"; known: {', '.join(names.values())}"
