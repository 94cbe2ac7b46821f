"""Document schemas: the subset of JSON Schema (draft 4) that collections validate with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from harness.emulators.arangodb.aql.values import equal, is_number, type_name
from harness.emulators.arangodb.errors import ArangoError

LEVELS = ("none", "new", "moderate", "strict")
Rule = dict[str, Any]


def check_schema(schema: Any) -> dict[str, Any] | None:
    """A `schema` property as stored (with `type: json`). Raises ArangoError 1621; an empty one means none."""
    if schema is None or schema == {}:
        return None
    if not isinstance(schema, dict) or not isinstance(schema.get("rule"), dict):
        raise ArangoError(1621, "invalid schema: rule must be an object")
    if schema.get("level", "strict") not in LEVELS or not isinstance(schema.get("message", ""), str):
        raise ArangoError(1621, "invalid schema: level or message")
    try:
        problem = next(_unsupported(schema["rule"]), None)
        matches(schema["rule"], {"": ""})
    except (AttributeError, TypeError, re.error):
        raise ArangoError(1621) from None
    if problem is not None:
        raise ArangoError(9, f"not emulated: schema keyword {problem}", status=501)
    return {"level": "strict", "message": "", "type": "json", **schema}


def _unsupported(rule: Rule) -> Iterator[str]:
    for word, value in rule.items():
        if word not in _CHECKS and word not in ("title", "description", "default", "$schema", "id", "format"):
            if word not in ("exclusiveMinimum", "exclusiveMaximum"):
                yield word
        elif word in ("properties", "patternProperties"):
            for inner in value.values():
                yield from _unsupported(inner)


def enforce(schema: dict[str, Any] | None, doc: dict[str, Any], old: dict[str, Any] | None) -> None:
    """Raise ArangoError 1620 if a document to be written breaks the collection's schema at its level."""
    if schema is None or schema["level"] == "none" or (schema["level"] == "new" and old is not None):
        return
    if matches(schema["rule"], _user_part(doc)):
        return
    if schema["level"] == "moderate" and old is not None and not matches(schema["rule"], _user_part(old)):
        return
    raise ArangoError(1620, schema["message"] or "schema violation")


def _user_part(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if name not in ("_key", "_id", "_rev", "_from", "_to")}


def matches(rule: Rule, value: Any) -> bool:
    """Whether a value satisfies a schema. Raises ArangoError 1621 for what is no schema."""
    if not isinstance(rule, dict):
        raise ArangoError(1621)
    return all(_CHECKS[word](rule, value) for word in rule if word in _CHECKS)


def _type(rule: Rule, value: Any) -> bool:
    names = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    actual = {type_name(value).replace("bool", "boolean")}
    if is_number(value) and value == int(value):
        actual.add("integer")
    return "any" in names or bool(actual & set(names))


def _properties(rule: Rule, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    known = rule["properties"]
    return all(matches(known[name], item) for name, item in value.items() if name in known)


def _pattern_properties(rule: Rule, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    rules = rule["patternProperties"].items()
    return all(matches(inner, item) for name, item in value.items() for at, inner in rules if re.search(at, name))


def _additional(rule: Rule, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    known, patterns = rule.get("properties", {}), rule.get("patternProperties", {})
    extra = [name for name in value if name not in known and not any(re.search(p, name) for p in patterns)]
    inner = rule["additionalProperties"]
    if isinstance(inner, bool):
        return inner or not extra
    return all(matches(inner, value[name]) for name in extra)


def _items(rule: Rule, value: Any) -> bool:
    if not isinstance(value, list):
        return True
    if isinstance(rule["items"], list):
        return all(matches(inner, item) for inner, item in zip(rule["items"], value, strict=False))
    return all(matches(rule["items"], item) for item in value)


def _minimum(rule: Rule, value: Any) -> bool:
    low = rule["minimum"]
    return not is_number(value) or (value > low if rule.get("exclusiveMinimum") else value >= low)


def _maximum(rule: Rule, value: Any) -> bool:
    high = rule["maximum"]
    return not is_number(value) or (value < high if rule.get("exclusiveMaximum") else value <= high)


def _unique(rule: Rule, value: Any) -> bool:
    if not rule["uniqueItems"] or not isinstance(value, list):
        return True
    return not any(equal(a, b) for at, a in enumerate(value) for b in value[at + 1 :])


def _size(word: str, kind: type, least: bool) -> Callable[[Rule, Any], bool]:
    def check(rule: Rule, value: Any) -> bool:
        return not isinstance(value, kind) or (len(value) >= rule[word] if least else len(value) <= rule[word])  # type: ignore[arg-type]

    return check


_CHECKS: dict[str, Callable[[Rule, Any], bool]] = {
    "type": _type,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "items": _items,
    "minimum": _minimum,
    "maximum": _maximum,
    "uniqueItems": _unique,
    "minLength": _size("minLength", str, True),
    "maxLength": _size("maxLength", str, False),
    "minItems": _size("minItems", list, True),
    "maxItems": _size("maxItems", list, False),
    "minProperties": _size("minProperties", dict, True),
    "maxProperties": _size("maxProperties", dict, False),
    "required": lambda rule, value: not isinstance(value, dict) or all(name in value for name in rule["required"]),
    "enum": lambda rule, value: any(equal(value, item) for item in rule["enum"]),
    "const": lambda rule, value: equal(value, rule["const"]),
    "pattern": lambda rule, value: not isinstance(value, str) or bool(re.search(rule["pattern"], value)),
    "multipleOf": lambda rule, value: not is_number(value) or value % rule["multipleOf"] == 0,
    "allOf": lambda rule, value: all(matches(inner, value) for inner in rule["allOf"]),
    "anyOf": lambda rule, value: any(matches(inner, value) for inner in rule["anyOf"]),
    "oneOf": lambda rule, value: sum(matches(inner, value) for inner in rule["oneOf"]) == 1,
    "not": lambda rule, value: not matches(rule["not"], value),
}
