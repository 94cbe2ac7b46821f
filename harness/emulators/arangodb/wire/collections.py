"""/_api/collection and /_api/index"""

from __future__ import annotations

from typing import Any

from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.index_catalog import create_index, describe, drop_index, find_index, listing
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok


def _base(collection: Collection) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": collection.id, "name": collection.name, "status": 3, "type": collection.kind}
    return {**facts, "isSystem": collection.is_system, "globallyUniqueId": f"hE1/{collection.id}"}


def _properties(collection: Collection) -> dict[str, Any]:
    fixed: dict[str, Any] = {"writeConcern": 1, "usesRevisionsAsDocumentIds": True, "syncByRevision": True}
    fixed |= {"supportsRBAC": True, "statusString": "loaded", "isSmartChild": False, "internalValidatorType": 0}
    return {**_base(collection), **fixed, **collection.facts}


def _listing(call: Call) -> Reply:
    users, name, hide = call.server.users, call.database.name, call.flag("excludeSystem")
    found = sorted(call.database.collections.values(), key=lambda item: item.name)
    visible = [item for item in found if users.right(call.user, name, item.name) != "none"]
    return ok(result=[_base(item) for item in visible if not (hide and item.is_system)])


def _create(call: Call) -> Reply:
    call.need_database()
    return ok(**_properties(call.server.catalog.create_collection(call.database, call.object())))


def _configure(call: Call) -> Reply:
    collection = call.collection(write=True)
    call.need_database()
    call.server.catalog.configure(call.database, collection, call.object())
    return ok(**_properties(collection))


def _count(call: Call) -> Reply:
    collection = call.collection()
    with call.work() as trx:
        return ok(**_properties(collection), count=trx.count(collection))


def _truncate(call: Call) -> Reply:
    collection = call.collection(write=True)
    with call.work(collection) as trx:
        for doc in list(trx.scan(collection)):
            trx.put(collection, doc["_key"], None)
    return ok(**_base(collection))


def _drop(call: Call) -> Reply:
    collection = call.collection(write=True)
    call.need_database()
    if collection.is_system:
        raise ArangoError(11)
    graph = call.server.graphs.using(call.database, collection.name)
    if graph:
        raise ArangoError(1942, f"must not drop collection '{collection.name}' while part of graph '{graph}'")
    call.server.catalog.drop_collection(call.database, collection)
    return ok(id=collection.id)


def _create_index(call: Call) -> Reply:
    collection = call.collection(write=True)
    call.need_database()
    made, is_new = create_index(call.server.catalog, call.database, collection, call.json())
    return ok(201 if is_new else 200, **describe(collection, made), isNewlyCreated=is_new)


def _indexes(call: Call) -> Reply:
    found = listing(call.collection())
    return ok(indexes=found, identifiers={index["id"]: index for index in found})


def _index(call: Call) -> Reply:
    collection = call.collection()
    return ok(**describe(collection, find_index(collection, call.values["index"])))


def _drop_index(call: Call) -> Reply:
    collection = call.collection(write=True)
    call.need_database()
    return ok(id=drop_index(call.server.catalog, call.database, collection, call.values["index"]))


ROUTES: Routes = {
    "GET /_api/collection": _listing,
    "POST /_api/collection": _create,
    "GET /_api/collection/{collection}": lambda call: ok(**_base(call.collection())),
    "DELETE /_api/collection/{collection}": _drop,
    "GET /_api/collection/{collection}/properties": lambda call: ok(**_properties(call.collection())),
    "PUT /_api/collection/{collection}/properties": _configure,
    "GET /_api/collection/{collection}/count": _count,
    "PUT /_api/collection/{collection}/truncate": _truncate,
    "POST /_api/index": _create_index,
    "GET /_api/index": _indexes,
    "GET /_api/index/{collection}/{index}": _index,
    "DELETE /_api/index/{collection}/{index}": _drop_index,
}
