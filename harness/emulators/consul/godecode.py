"""Request bodies read as Go's encoding/json reads them: any letter case, typed fields, Go's own error texts.

Clients send `Name`, `name` or `NAME`; most endpoints refuse a field they do not know. Source: captured errors of 1.8.7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from harness.emulators.go_durations import SECOND, parse_duration

KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


class DecodeError(ValueError):
    """A body Go would not decode; the message is Go's."""


@dataclass(frozen=True)
class Struct:
    """A Go struct: its type name in errors, its fields, other spellings of them, and whether unknown ones are refused.

    A field's type is one of `string int uint64 bool duration any []string map[string]string`, a Struct, or a Many.
    """

    go: str
    fields: Mapping[str, str | Struct | Many]
    aliases: Mapping[str, str] = field(default_factory=dict)
    strict: bool = True
    whole: str = ""

    def canonical(self) -> dict[str, str]:
        """Every accepted spelling in lower case, and the field it means."""
        return {name.lower(): name for name in self.fields} | dict(self.aliases)


@dataclass(frozen=True)
class Many:
    """A list of structs, called `go` in errors."""

    of: Struct
    go: str


def decode(body: bytes, into: Struct | Many) -> Any:
    """The first JSON value of `body`, checked against a type. Fields that are absent are absent. Raises DecodeError."""
    value = _parse(body)
    if isinstance(into, Many):
        return _many(value, into, into, "")
    return {} if value is None else _struct(value, into, into, "")


def _parse(body: bytes) -> Any:
    text = body.decode("utf-8", "replace").lstrip()
    if not text:
        raise DecodeError("EOF")
    try:
        return json.JSONDecoder(parse_constant=_constant).raw_decode(text)[0]
    except json.JSONDecodeError as error:
        raise DecodeError(_go_syntax(text, error)) from None
    except RecursionError:
        raise DecodeError("exceeded max depth") from None


def _constant(name: str) -> NoReturn:
    raise DecodeError(f"invalid character '{name[0]}' looking for beginning of value")


def _go_syntax(text: str, error: json.JSONDecodeError) -> str:
    position = error.pos
    while position < len(text) and text[position].isspace():
        position += 1
    if position >= len(text) or error.msg.startswith("Unterminated string") or "null".startswith(text):
        return "unexpected EOF"
    places = {
        "Expecting property name": "looking for beginning of object key string",
        "Illegal trailing comma": "looking for beginning of object key string",
        "Expecting ':'": "after object key",
        "Invalid control": "in string literal",
        "Invalid \\": "in string escape code",
        "Expecting ','": "after object key:value pair" if _innermost(text[:position]) == "{" else "after array element",
    }
    place = next(
        (words for start, words in places.items() if error.msg.startswith(start)), "looking for beginning of value"
    )
    return f"invalid character {_quote(text[position])} {place}"


def _quote(character: str) -> str:
    return {"'": r"'\''", "\n": r"'\n'", "\t": r"'\t'"}.get(character, f"'{character}'")


def _innermost(text: str) -> str:
    open_brackets, inside, skip = [""], False, False
    for character in text:
        if skip:
            skip = False
        elif inside:
            skip, inside = character == "\\", character != '"'
        elif character == '"':
            inside = True
        elif character in "{[":
            open_brackets.append(character)
        elif character in "}]":
            open_brackets.pop()
    return open_brackets[-1]


def _mismatch(value: Any, struct: Struct, path: str, go: str) -> NoReturn:
    shown = f"number {value}" if isinstance(value, float) else KINDS[type(value)]
    where = f"Go struct field {struct.go}.{path}" if path else "Go value"
    raise DecodeError(f"json: cannot unmarshal {shown} into {where} of type {go}")


def _struct(value: Any, kind: Struct, parent: Struct, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _mismatch(value, parent, path, kind.whole or kind.go)
    known, decoded = kind.canonical(), {}
    for name, item in value.items():
        wanted = known.get(name.lower())
        if wanted is None:
            if kind.strict:
                raise DecodeError(f'json: unknown field "{name}"')
        elif item is not None:
            decoded[wanted] = _typed(item, kind.fields[wanted], kind, f"{path}.{wanted}" if path else wanted)
    return decoded


def _many(value: Any, kind: Many, parent: Many | Struct, path: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        owner = parent if isinstance(parent, Struct) else kind.of
        _mismatch(value, owner, path, kind.go)
    return [_struct(item, kind.of, kind.of, path) for item in value if item is not None]


def _typed(value: Any, kind: str | Struct | Many, parent: Struct, path: str) -> Any:
    if isinstance(kind, Struct):
        return _struct(value, kind, parent, path)
    if isinstance(kind, Many):
        return _many(value, kind, parent, path)
    if kind == "duration":
        return _duration(value)
    if kind.startswith("[]") and isinstance(value, list):
        return [_typed(item, "string", parent, path) for item in value if item is not None]
    if kind == "map[string]string" and isinstance(value, dict):
        return {name: _typed(item, "string", parent, path) for name, item in value.items()}
    if not _fits(value, kind):
        _mismatch(value, parent, path, kind)
    return value


def _fits(value: Any, kind: str) -> bool:
    if kind in {"int", "uint64"}:
        return type(value) is int and (kind == "int" or value >= 0)
    return {"string": str, "bool": bool, "any": object, "map": dict}.get(kind, tuple) in (type(value), object)


def _duration(value: Any) -> int:
    if isinstance(value, str):
        try:
            return parse_duration(value) if value else 0
        except ValueError as error:
            raise DecodeError(str(error)) from None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def lock_delay_nanoseconds(value: Any) -> int | None:
    """A session's LockDelay: a Go duration, or a number that means seconds below 1000 and nanoseconds above."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) * SECOND if 0 < value < 1000 else int(value)
    return _duration(value)
