"""Object and document functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.values import equal, to_string, truth
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.ticks import decode_revision


def object_(value: Any) -> dict[str, Any]:
    """The value, which must be an object. Raises AqlWarning 1542."""
    if not isinstance(value, dict):
        raise AqlWarning(1542, "invalid argument type in call to function, object expected")
    return value


def attributes(doc: Any, remove_internal: Any = False, order: Any = False) -> list[str]:
    """The attribute names."""
    names = [name for name in object_(doc) if not (truth(remove_internal) and name.startswith("_"))]
    return sorted(names) if truth(order) else names


def values(doc: Any, remove_internal: Any = False) -> list[Any]:
    """The attribute values."""
    return [value for name, value in object_(doc).items() if not (truth(remove_internal) and name.startswith("_"))]


def has(doc: Any, name: Any) -> bool:
    """Whether the attribute is there, even with null."""
    return isinstance(doc, dict) and to_string(name) in doc


def _names(given: tuple[Any, ...]) -> set[str]:
    flat = [name for item in given for name in (item if isinstance(item, list) else [item])]
    return {name for name in flat if isinstance(name, str)}


def keep(doc: Any, *names: Any) -> dict[str, Any]:
    """Only these attributes."""
    kept = _names(names)
    return {name: value for name, value in object_(doc).items() if name in kept}


def unset(doc: Any, *names: Any) -> dict[str, Any]:
    """All but these attributes."""
    gone = _names(names)
    return {name: value for name, value in object_(doc).items() if name not in gone}


def keep_recursive(doc: Any, *names: Any) -> Any:
    """Only these attributes, at every depth."""
    kept = _names(names)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: walk(item) for name, item in value.items() if name in kept}
        return [walk(item) for item in value] if isinstance(value, list) else value

    return walk(object_(doc))


def unset_recursive(doc: Any, *names: Any) -> Any:
    """All but these attributes, at every depth."""
    gone = _names(names)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: walk(item) for name, item in value.items() if name not in gone}
        return [walk(item) for item in value] if isinstance(value, list) else value

    return walk(object_(doc))


def _documents(docs: tuple[Any, ...]) -> list[dict[str, Any]]:
    if len(docs) == 1 and isinstance(docs[0], list):
        docs = tuple(docs[0])
    return [object_(doc) for doc in docs]


def merge(*docs: Any) -> dict[str, Any]:
    """All attributes, later ones win."""
    made: dict[str, Any] = {}
    for doc in _documents(docs):
        made.update(doc)
    return made


def merge_recursive(*docs: Any) -> dict[str, Any]:
    """All attributes, objects merged in depth."""
    made: dict[str, Any] = {}
    for doc in _documents(docs):
        for name, value in doc.items():
            both = isinstance(made.get(name), dict) and isinstance(value, dict)
            made[name] = merge_recursive(made[name], value) if both else value
    return made


def translate(value: Any, lookup: Any, default: Any = None) -> Any:
    """The lookup's entry for a value, else the default or the value itself."""
    return object_(lookup).get(to_string(value), value if default is None else default)


def value_at(doc: Any, path: Any) -> Any:
    """The value at a path of names and positions."""
    for step in path:
        if isinstance(doc, dict):
            doc = doc.get(to_string(step))
        elif isinstance(doc, list) and isinstance(step, int) and -len(doc) <= step < len(doc):
            doc = doc[step]
        else:
            return None
    return doc


def zip_(names: Any, items: Any) -> dict[str, Any]:
    """An object of names and values. Raises AqlWarning 1542 for different lengths."""
    if not isinstance(names, list) or not isinstance(items, list) or len(names) != len(items):
        raise AqlWarning(1542, "invalid argument type in call to function 'ZIP()'")
    return {to_string(name): value for name, value in zip(names, items, strict=True)}


def matches(doc: Any, examples: Any, index: Any = False) -> Any:
    """Whether (or where, -1 for nowhere) one of the examples fits the document."""
    rows = examples if isinstance(examples, list) else [examples]
    found = -1
    for at, example in enumerate(rows):
        if all(isinstance(doc, dict) and equal(doc.get(name), value) for name, value in object_(example).items()):
            found = at
            break
    return found if truth(index) else found >= 0


def _ident(value: Any) -> tuple[str, str]:
    ident = value.get("_id") if isinstance(value, dict) else value
    if not isinstance(ident, str) or ident.count("/") != 1:
        raise AqlWarning(1542, "invalid argument type in call to function, document identifier expected")
    name, _, key = ident.partition("/")
    return name, key


def parse_identifier(value: Any) -> dict[str, str]:
    """Collection and key of a document id."""
    name, key = _ident(value)
    return {"collection": name, "key": key}


def is_same_collection(name: Any, value: Any) -> bool:
    """Whether a document belongs to a collection."""
    return bool(_ident(value)[0] == name)


def decode_rev(revision: Any) -> dict[str, Any]:
    """The time and count inside a revision."""
    from harness.emulators.arangodb.aql.functions.dates import iso_text

    try:
        millis, number = decode_revision(revision)
    except (KeyError, TypeError):
        raise AqlWarning(1542, "invalid argument type in call to function 'DECODE_REV()'") from None
    return {"date": iso_text(millis), "count": number}


def check_document(doc: Any) -> bool:
    """Whether no attribute occurs twice: always, once it has become a value."""
    return isinstance(doc, dict)


def fail(reason: Any = "") -> Any:
    """Raises ArangoError 1569."""
    raise ArangoError(1569, f"AQL: FAIL({to_string(reason)}) called (while executing)")


OBJECTS: Mapping[str, Callable[..., Any]] = {
    "ATTRIBUTES": attributes,
    "KEYS": attributes,
    "VALUES": values,
    "ENTRIES": lambda doc: [[name, value] for name, value in object_(doc).items()],
    "HAS": has,
    "KEEP": keep,
    "UNSET": unset,
    "KEEP_RECURSIVE": keep_recursive,
    "UNSET_RECURSIVE": unset_recursive,
    "MERGE": merge,
    "MERGE_RECURSIVE": merge_recursive,
    "TRANSLATE": translate,
    "VALUE": value_at,
    "ZIP": zip_,
    "MATCHES": matches,
    "PARSE_IDENTIFIER": parse_identifier,
    "PARSE_KEY": lambda value: _ident(value)[1],
    "PARSE_COLLECTION": lambda value: _ident(value)[0],
    "IS_SAME_COLLECTION": is_same_collection,
    "DECODE_REV": decode_rev,
    "CHECK_DOCUMENT": check_document,
    "FAIL": fail,
}
