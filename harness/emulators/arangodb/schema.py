"""Document schemas: the subset of JSON Schema (draft 4) that collections validate with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sized
from typing import Any

from harness.emulators.arangodb.aql.values import equal, is_number, type_name
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
from harness.emulators.arangodb.patterns import occurs

_LEVELS = ("none", "new", "moderate", "strict")
_ANNOTATIONS = ("title", "description", "default", "$schema", "id")
_SYSTEM_ATTRIBUTES = ("_key", "_id", "_rev", "_from", "_to")
Rule = dict[str, Any]


def check_schema(schema: Any) -> dict[str, Any] | None:
    """A `schema` property as stored (with `type: json`); an empty one means none. Raises ArangoError 1621."""
    if schema is None or schema == {}:
        return None
    if not isinstance(schema, dict) or not isinstance(schema.get("rule"), dict):
        raise ArangoError(1621, "invalid schema: rule must be an object")
    if schema.get("level", "strict") not in _LEVELS or not isinstance(schema.get("message", ""), str):
        raise ArangoError(1621, "invalid schema: level or message")
    try:
        unknown = [word for word in _keywords(schema["rule"]) if word not in _CHECKS and word not in _ANNOTATIONS]
        _matches(schema["rule"], {"": ""})
    except (AttributeError, TypeError, re.error):
        raise ArangoError(1621) from None
    if unknown:
        raise NotEmulatedError(f"schema keyword {unknown[0]}")
    return {"level": "strict", "message": "", "type": "json", **schema}


def _keywords(rule: Rule) -> Iterator[str]:
    yield from rule
    inner = [rule["items"]] if "items" in rule else []
    for one in (*inner, *rule.get("properties", {}).values()):
        yield from _keywords(one)


def enforce(schema: dict[str, Any] | None, doc: dict[str, Any], old: dict[str, Any] | None) -> None:
    """Raise ArangoError 1620 if a document to be written breaks the collection's schema at its level."""
    if schema is None or schema["level"] == "none" or (schema["level"] == "new" and old is not None):
        return
    if _matches(schema["rule"], _user_part(doc)):
        return
    if schema["level"] == "moderate" and old is not None and not _matches(schema["rule"], _user_part(old)):
        return
    raise ArangoError(1620, schema["message"] or "schema violation")


def _user_part(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if name not in _SYSTEM_ATTRIBUTES}


def _matches(rule: Rule, value: Any) -> bool:
    return all(_CHECKS[word](rule, value) for word in rule if word in _CHECKS)


def _type(rule: Rule, value: Any) -> bool:
    names = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    actual = {type_name(value).replace("bool", "boolean")}
    if is_number(value) and value == int(value):
        actual.add("integer")
    return bool(actual & set(names))


def _properties(rule: Rule, value: Any) -> bool:
    known = rule["properties"].items()
    return not isinstance(value, dict) or all(_matches(one, value[name]) for name, one in known if name in value)


def _additional(rule: Rule, value: Any) -> bool:
    if not isinstance(rule["additionalProperties"], bool):
        raise NotEmulatedError("schema keyword additionalProperties with a rule")
    allowed = rule["additionalProperties"] or not isinstance(value, dict)
    return allowed or set(value) <= set(rule.get("properties", {}))


def _size(word: str, kind: type[Sized], least: bool) -> Callable[[Rule, Any], bool]:
    def check(rule: Rule, value: Any) -> bool:
        return not isinstance(value, kind) or (len(value) >= rule[word] if least else len(value) <= rule[word])

    return check


_CHECKS: dict[str, Callable[[Rule, Any], bool]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": lambda rule, value: not isinstance(value, list) or all(_matches(rule["items"], one) for one in value),
    "minimum": lambda rule, value: not is_number(value) or value >= rule["minimum"],
    "maximum": lambda rule, value: not is_number(value) or value <= rule["maximum"],
    "minLength": _size("minLength", str, True),
    "maxLength": _size("maxLength", str, False),
    "minItems": _size("minItems", list, True),
    "maxItems": _size("maxItems", list, False),
    "required": lambda rule, value: not isinstance(value, dict) or all(name in value for name in rule["required"]),
    "enum": lambda rule, value: any(equal(value, item) for item in rule["enum"]),
    "pattern": lambda rule, value: not isinstance(value, str) or occurs(rule["pattern"], value),
}
