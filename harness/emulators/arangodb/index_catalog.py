"""Creating, listing, dropping and expiring by the indexes of a collection (HTTP manual: "Indexes")."""

from __future__ import annotations

import random
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.functions.dates import millis, parse
from harness.emulators.arangodb.aql.values import is_number
from harness.emulators.arangodb.catalog import Catalog
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
from harness.emulators.arangodb.indexes import Document, Index, SortedIndex, StoredIndex, attribute
from harness.emulators.arangodb.store import Transaction, duplicate

_ALIASES = {"hash": "persistent", "skiplist": "persistent"}
_STORED: dict[str, dict[str, Any]] = {
    "geo": {
        "bestIndexedLevel": 17, "worstIndexedLevel": 4, "maxNumCoverCells": 8,
        "geoJson": False, "legacyPolygons": False,
    },
    "fulltext": {"minLength": 2},
}  # fmt: skip
_NOT_EMULATED = ("inverted", "mdi", "mdi-prefixed", "zkd", "vector")
_OPTIONAL = ("storedValues", "expireAfter", "geoJson", "minLength", "cacheEnabled", "deduplicate", "estimates")


def definition(index: Index) -> Document:
    """An index as the journal keeps it."""
    facts = {"id": index.id, "name": index.name, "type": index.kind, "fields": list(index.fields)}
    return {**facts, "unique": index.unique, "sparse": index.sparse, "extra": index.extra}


def restore_index(facts: Document) -> Index:
    """An empty index of a journalled definition."""
    kind = StoredIndex if facts["type"] in _STORED else SortedIndex
    options = {"unique": facts["unique"], "sparse": facts["sparse"], **facts["extra"]}
    return kind(facts["id"], facts["name"], facts["type"], facts["fields"], **options)


def describe(collection: Collection, index: Index) -> Document:
    """An index as the API shows it."""
    shown: Document = {"fields": list(index.fields), "id": f"{collection.name}/{index.id}", "name": index.name}
    shown |= {"sparse": index.sparse, "type": index.kind, "unique": index.unique, **index.extra}
    if index.kind in ("persistent", "edge"):
        shown["selectivityEstimate"] = 1
    return shown


def primary(collection: Collection) -> Document:
    """The primary index as the API shows it."""
    facts = {"fields": ["_key"], "id": f"{collection.name}/0", "name": "primary", "selectivityEstimate": 1}
    return {**facts, "sparse": False, "type": "primary", "unique": True}


def listing(collection: Collection) -> list[Document]:
    """All indexes as the API shows them."""
    return [primary(collection), *(describe(collection, index) for index in collection.indexes)]


def _fields(body: Document, kind: str) -> list[str]:
    fields = body.get("fields")
    if not isinstance(fields, list) or not fields or not all(isinstance(name, str) and name for name in fields):
        raise ArangoError(10, "invalid index definition: fields must be a non-empty array of attribute names")
    if len(set(fields)) < len(fields) or (kind == "ttl" and len(fields) > 1):
        raise ArangoError(10, "invalid index definition: bad number or repetition of fields")
    return fields


def _prepare(body: Any, ident: str) -> Document:
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        raise ArangoError(10, "invalid index type")
    kind = _ALIASES.get(body["type"], body["type"])
    if kind in _NOT_EMULATED:
        raise NotEmulatedError(f"index type {kind}")
    if kind not in ("persistent", "ttl", *_STORED):
        raise ArangoError(10, f"invalid index type '{kind}'")
    fields = _fields(body, kind)
    given = {name: body[name] for name in _OPTIONAL if name in body}
    unique, sparse = bool(body.get("unique")), bool(body.get("sparse"))
    if kind == "persistent":
        extra = {"cacheEnabled": False, "deduplicate": True, "estimates": True, **given}
    elif kind == "ttl":
        if not is_number(given.get("expireAfter")) or given["expireAfter"] < 0:
            raise ArangoError(10, "expireAfter attribute must be a number")
        extra, unique, sparse = {"expireAfter": given["expireAfter"], "estimates": False}, False, True
    else:
        extra, unique, sparse = {**_STORED[kind], **given}, False, True
    name = body.get("name") or f"idx_{random.getrandbits(60) + 10**18}"
    return {
        "id": ident,
        "name": name,
        "type": kind,
        "fields": fields,
        "unique": unique,
        "sparse": sparse,
        "extra": extra,
    }


def create_index(catalog: Catalog, collection: Collection, body: Any) -> tuple[Index, bool]:
    """The index a definition describes and whether it is new. Raises ArangoError, every one as HTTP 400."""
    try:
        return _create(catalog, collection, body)
    except ArangoError as error:
        status = error.status if error.number in (9, 11) else 400
        raise ArangoError(error.number, str(error), status=status) from error


def _create(catalog: Catalog, collection: Collection, body: Any) -> tuple[Index, bool]:
    facts = _prepare(body, str(catalog.ticks.next()))
    compared = ("type", "fields", "unique", "sparse")
    for index in collection.indexes:
        known = definition(index)
        if all(known[name] == facts[name] for name in compared) and index.extra.get("expireAfter") == facts[
            "extra"
        ].get("expireAfter"):
            return index, False
        if body.get("name") == index.name:
            raise ArangoError(1005)
    index = restore_index(facts)
    _build(index, collection)
    catalog.record({"k": "index", "coll": collection.id, "def": facts})
    collection.indexes.append(index)
    return index, True


def _build(index: Index, collection: Collection) -> None:
    """Fill a new index from every version that is still visible. Raises ArangoError 1210 for duplicates."""
    if not isinstance(index, SortedIndex):
        return
    if index.unique:
        seen: dict[Any, Document] = {}
        for doc in collection.current.values():
            for entry in index.entries(doc):
                if entry in seen:
                    raise duplicate(index.name, index.kind, ", ".join(index.fields), seen[entry])
                seen[entry] = doc
    keys = dict.fromkeys([*collection.current, *collection.history, *collection.pending])
    index.fill([(entry, key) for key in keys for doc in collection.alive(key) for entry in index.entries(doc)])


def drop_index(catalog: Catalog, collection: Collection, name: str) -> str:
    """Remove an index and give its full id. Raises ArangoError 1212, or 1213 for the primary and edge index."""
    if name in ("0", "primary"):
        raise ArangoError(1213, "forbidden")
    index = collection.index(name)
    if index is None:
        raise ArangoError(1212)
    if index.kind == "edge":
        raise ArangoError(1213, "forbidden")
    catalog.record({"k": "dropindex", "coll": collection.id, "id": index.id})
    collection.indexes = [other for other in collection.indexes if other is not index]
    return f"{collection.name}/{index.id}"


def _expiry(value: Any) -> float | None:
    """When a TTL attribute's time is, in seconds since 1970; None if it is no time."""
    if is_number(value):
        return float(value)
    try:
        return millis(parse(value)) / 1000 if isinstance(value, str) else None
    except AqlWarning:
        return None


def expire(trx: Transaction, collection: Collection, now: float) -> int:
    """Remove the documents whose time has come by a TTL index; returns how many."""
    removed = 0
    for index in collection.indexes:
        if index.kind != "ttl":
            continue
        for doc in list(trx.scan(collection)):
            moment = _expiry(attribute(doc, index.fields[0]))
            due = moment is not None and moment + index.extra["expireAfter"] <= now
            if due and doc["_key"] not in collection.pending:
                trx.put(collection, doc["_key"], None)
                removed += 1
    return removed


__all__ = ["create_index", "definition", "describe", "drop_index", "expire", "listing", "primary"]
