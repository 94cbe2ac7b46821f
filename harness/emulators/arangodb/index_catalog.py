"""Creating, listing, dropping and expiring by the indexes of a collection (HTTP manual: "Indexes")."""

from __future__ import annotations

import random
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.functions.dates import millis, parse
from harness.emulators.arangodb.aql.values import is_number
from harness.emulators.arangodb.catalog import Catalog, Database
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
from harness.emulators.arangodb.indexes import Document, Index, attribute
from harness.emulators.arangodb.store import Transaction, duplicate

_NOT_EMULATED = ("geo", "fulltext", "inverted", "mdi", "mdi-prefixed", "zkd", "vector")
_PRIMARY = {"id": "0", "name": "primary", "type": "primary", "fields": ["_key"], "unique": True, "sparse": False}


def listing(collection: Collection) -> list[Document]:
    """All indexes as the API shows them."""
    definitions = {index.definition["id"]: index.definition for index in collection.indexes}
    return [describe(collection, definition) for definition in (_PRIMARY, *definitions.values())]


def describe(collection: Collection, definition: Document) -> Document:
    """An index as the API shows it."""
    estimate = {} if definition["type"] == "ttl" else {"selectivityEstimate": 1}
    return {**definition, "id": f"{collection.name}/{definition['id']}", **estimate}


def _prepare(body: Any) -> Document:
    """The definition a body asks for, yet without id and name. Raises ArangoError 10, NotEmulatedError."""
    if not isinstance(body, dict):
        raise ArangoError(10, "invalid index definition")
    kind = body.get("type")
    if not isinstance(body.get("name", ""), str):
        raise ArangoError(10, "index name must be a string")
    if kind in _NOT_EMULATED or body.get("storedValues"):
        raise NotEmulatedError(f"index type {kind} or storedValues")
    if kind not in ("persistent", "hash", "skiplist", "ttl"):
        raise ArangoError(10, f"invalid index type '{kind}'")
    fields = body.get("fields")
    if not isinstance(fields, list) or not fields or not all(isinstance(name, str) and name for name in fields):
        raise ArangoError(10, "invalid index definition: fields must be a non-empty array of attribute names")
    if len(set(fields)) < len(fields) or (kind == "ttl" and len(fields) > 1):
        raise ArangoError(10, "invalid index definition: bad number or repetition of fields")
    if kind != "ttl":
        made = {"unique": bool(body.get("unique")), "sparse": bool(body.get("sparse")), "cacheEnabled": False}
        return {"type": kind, "fields": fields, **made, "deduplicate": True, "estimates": True}
    seconds: Any = body.get("expireAfter")
    if not is_number(seconds) or seconds < 0:
        raise ArangoError(10, "expireAfter attribute must be a number")
    return {"type": kind, "fields": fields, "unique": False, "sparse": True, "expireAfter": seconds, "estimates": False}


def create_index(catalog: Catalog, database: Database, collection: Collection, body: Any) -> tuple[Document, bool]:
    """The definition of the index a body asks for and whether it is new. Raises ArangoError, 1210 too as HTTP 400."""
    wanted = _prepare(body)
    for index in collection.indexes:
        if wanted.items() <= index.definition.items():
            return index.definition, False
        if body.get("name") == index.definition["name"]:
            raise ArangoError(1005)
    name = body.get("name") or f"idx_{random.getrandbits(60) + 10**18}"
    made = Index({"id": str(catalog.ticks.next()), "name": name, **wanted})
    _check_unique(made, collection)
    collection.fill(made)
    collection.indexes.append(made)
    catalog.save(database)
    return made.definition, True


def _check_unique(index: Index, collection: Collection) -> None:
    seen: dict[Any, Document] = {}
    for doc in collection.current.values() if index.unique else ():
        for entry in index.entries(doc):
            if entry in seen:
                error = duplicate(index.definition, seen[entry])
                raise ArangoError(1210, str(error), status=400)
            seen[entry] = doc


def find_index(collection: Collection, name: str) -> Document:
    """An index's definition by name or numeric id. Raises ArangoError 1212."""
    if name in ("0", "primary"):
        return _PRIMARY
    index = collection.index(name)
    if index is None:
        raise ArangoError(1212)
    return index.definition


def drop_index(catalog: Catalog, database: Database, collection: Collection, name: str) -> str:
    """Remove an index and give its full id. Raises ArangoError 1212, or 1213 for the primary and edge index."""
    definition = find_index(collection, name)
    if definition["type"] in ("primary", "edge"):
        raise ArangoError(1213)
    collection.indexes = [other for other in collection.indexes if other.definition is not definition]
    catalog.save(database)
    return f"{collection.name}/{definition['id']}"


def _expiry(value: Any) -> float | None:
    """When a TTL attribute's time is, in seconds since 1970; None if it is no time."""
    try:
        return float(value) if is_number(value) else millis(parse(value)) / 1000
    except AqlWarning:
        return None


def expire(trx: Transaction, collection: Collection, now: float) -> int:
    """Remove the documents whose time has come by a TTL index; returns how many."""
    removed = 0
    for definition in [index.definition for index in collection.indexes if index.definition["type"] == "ttl"]:
        for doc in list(trx.scan(collection)):
            moment = _expiry(attribute(doc, definition["fields"][0]))
            due = moment is not None and moment + definition["expireAfter"] <= now
            if due and doc["_key"] not in collection.pending:
                trx.put(collection, doc["_key"], None)
                removed += 1
    return removed
