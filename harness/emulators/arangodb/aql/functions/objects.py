"""Object and document functions (AQL manual: "Document / object functions")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.values import to_string, truth


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AqlWarning(1542, "invalid argument type in call to function, object expected")
    return value


def _attributes(doc: Any, remove_internal: Any = False, order: Any = False) -> list[str]:
    names = [name for name in _object(doc) if not (truth(remove_internal) and name.startswith("_"))]
    return sorted(names) if truth(order) else names


def _names(given: tuple[Any, ...]) -> set[Any]:
    return {name for item in given for name in (item if isinstance(item, list) else [item])}


def _keep(doc: Any, name: Any, *names: Any) -> dict[str, Any]:
    kept = _names((name, *names))
    return {name: value for name, value in _object(doc).items() if name in kept}


def _unset(doc: Any, name: Any, *names: Any) -> dict[str, Any]:
    gone = _names((name, *names))
    return {name: value for name, value in _object(doc).items() if name not in gone}


def _documents(docs: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [_object(doc) for doc in (docs[0] if len(docs) == 1 and isinstance(docs[0], list) else docs)]


def _merge(doc: Any, *docs: Any) -> dict[str, Any]:
    return {name: value for one in _documents((doc, *docs)) for name, value in one.items()}


def _ident(value: Any) -> tuple[str, str]:
    ident = value.get("_id") if isinstance(value, dict) else value
    if not isinstance(ident, str) or ident.count("/") != 1:
        raise AqlWarning(1542, "invalid argument type in call to function, document identifier expected")
    name, _, key = ident.partition("/")
    return name, key


OBJECTS: Mapping[str, Callable[..., Any]] = {
    "ATTRIBUTES": _attributes,
    "KEYS": _attributes,
    "VALUES": lambda doc, internal=False: [doc[name] for name in _attributes(doc, internal)],
    "HAS": lambda doc, name: isinstance(doc, dict) and to_string(name) in doc,
    "KEEP": _keep,
    "UNSET": _unset,
    "MERGE": _merge,
    "PARSE_IDENTIFIER": lambda value: dict(zip(("collection", "key"), _ident(value), strict=True)),
    "PARSE_KEY": lambda value: _ident(value)[1],
}
