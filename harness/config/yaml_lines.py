"""YAML that remembers on which line each key stands, so that an error can name it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ComposeError

Place = tuple[str | int, ...]


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
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ComposeError(f"{file}: not YAML: {_problem(error)}", "mend the file") from error
    if not isinstance(data, dict):
        raise ComposeError(f"{file}: expected a mapping at the top, found {type(data).__name__}")
    lines: dict[Place, int] = {}
    if node is not None:
        _note_lines(file, node, (), lines)
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
