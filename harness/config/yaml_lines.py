"""YAML that remembers on which line each key stands, so that an error can name it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ComposeError

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Tagged:
    """A value under Compose's own tags: `!reset` takes the key away, `!override` replaces instead of merging."""

    tag: str
    value: Any


class _Loader(yaml.SafeLoader):
    """YAML as Compose reads it: `yes`, `on` and `22:22` are text, as in YAML 1.2."""


_CORE = {
    "tag:yaml.org,2002:bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)"),
    "tag:yaml.org,2002:float": re.compile(
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+|\.(?:inf|Inf|INF))"
        r"|\.(?:nan|NaN|NAN)"
    ),
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, re.compile(rf"(?:{_CORE[tag].pattern})\Z") if tag in _CORE else pattern) for tag, pattern in entries]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node).replace("_", "").replace("0o", "0")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.lstrip("+"))
    base = 8 if digits.startswith("0") and digits.isdigit() and len(digits) > 1 else 0
    return sign * int(digits, base)


def _tagged(loader: _Loader, node: yaml.Node) -> Tagged:
    tag = node.tag.removeprefix("!")
    if isinstance(node, yaml.MappingNode):
        return Tagged(tag, loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return Tagged(tag, loader.construct_sequence(node, deep=True))
    return Tagged(tag, yaml.load(str(node.value), _Loader))  # noqa: S506  # it is a safe loader


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("!reset", _tagged)
_Loader.add_constructor("!override", _tagged)


@dataclass(frozen=True)
class Document:
    """A YAML mapping, and the line (from 1) of every key and list item by its path."""

    file: Path
    data: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)

    def where(self, place: Place) -> str:
        """`file:line` of the deepest known part of `place`."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return f"{self.file}:{self.lines[place[:length]]}"
        return str(self.file)


def load(file: Path) -> Document:
    """Read one YAML file whose top is a mapping. Raises ComposeError naming file and line."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ComposeError(f"{file}: {reason}", "name an existing file with --compose") from error
    lines: dict[Place, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _note_lines(file, node, (), lines)  # before merge keys are resolved, which rewrites the nodes
        data = loader.construct_document(node) if node is not None else None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ComposeError(f"{file}: not YAML: {_problem(error)}", "mend the file") from error
    if not isinstance(data, dict):
        raise ComposeError(f"{file}: expected a mapping at the top, found {type(data).__name__}")
    return Document(file, data, lines)


def _problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def _note_lines(file: Path, node: yaml.Node, place: Place, lines: dict[Place, int]) -> None:
    if len(place) > 12:  # an alias may point back at its parent
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner, line = (*place, str(key.value)), key.start_mark.line + 1
            if inner in lines:  # YAML forbids it; PyYAML would silently take the last one
                raise ComposeError(f"{file}:{line}: {key.value}: given twice, first on line {lines[inner]}")
            lines[inner] = line
            _note_lines(file, value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = (*place, index)
            lines[inner] = value.start_mark.line + 1
            _note_lines(file, value, inner, lines)
