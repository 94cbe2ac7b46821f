"""/_api/collection"""

from __future__ import annotations

import json
import zlib
from typing import Any

from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok


def _base(collection: Collection) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": collection.id, "name": collection.name, "status": 3, "type": collection.kind}
    unique_id = f"hE1/{collection.id}"
    return {**facts, "isSystem": collection.is_system, "globallyUniqueId": unique_id}


def _properties(collection: Collection) -> dict[str, Any]:
    facts = {name: value for name, value in collection.facts.items() if name != "db"}
    fixed: dict[str, Any] = {
        "writeConcern": 1,
        "usesRevisionsAsDocumentIds": True,
        "syncByRevision": True,
        "supportsRBAC": True,
    }
    fixed |= {"statusString": "loaded", "isSmartChild": False, "internalValidatorType": 0}
    return {**_base(collection), **fixed, **facts}


def _shown(call: Call, collection: Collection, facts: dict[str, Any], part: str = "") -> Reply:
    where = f"/_db/{call.database.name}/_api/collection/{collection.name}{part}"
    return Reply(200, {"error": False, "code": 200, **facts}, {"location": where})


def listing(call: Call) -> Reply:
    """GET /_api/collection"""
    found = sorted(call.database.collections.values(), key=lambda item: item.name)
    hide = call.flag("excludeSystem")
    users, name = call.server.users, call.database.name
    visible = [item for item in found if not (hide and item.is_system)]
    if call.server.auth.required:
        visible = [item for item in visible if users.collection_right(call.user, name, item.name) != "none"]
    return ok(result=[_base(item) for item in visible])


def create(call: Call) -> Reply:
    """POST /_api/collection"""
    call.need_database("rw")
    collection = call.server.catalog.create_collection(call.database, call.object())
    return Reply(200, {"error": False, "code": 200, **_properties(collection)})


def read(call: Call) -> Reply:
    """GET /_api/collection/{collection}"""
    collection = call.collection()
    return _shown(call, collection, {**_base(collection), "statusString": "loaded"})


def properties(call: Call) -> Reply:
    """GET /_api/collection/{collection}/properties"""
    collection = call.collection()
    return _shown(call, collection, _properties(collection), "/properties")


def configure(call: Call) -> Reply:
    """PUT /_api/collection/{collection}/properties"""
    collection = call.collection("rw")
    call.need_database("rw")
    call.server.catalog.configure(collection, call.object())
    return _shown(call, collection, _properties(collection), "/properties")


def count(call: Call) -> Reply:
    """GET /_api/collection/{collection}/count"""
    collection = call.collection()
    with call.work() as trx:
        return _shown(call, collection, {**_properties(collection), "count": trx.count(collection)}, "/count")


def figures(call: Call) -> Reply:
    """GET /_api/collection/{collection}/figures"""
    collection = call.collection()
    number = len(collection.current)
    size = sum(map(len, collection.current.values())) * 40
    indexes = {"count": len(collection.indexes) + 1, "size": number * 20}
    facts: dict[str, Any] = {"indexes": indexes, "documentsSize": size, "cacheInUse": False}
    facts |= {"cacheSize": 0, "cacheUsage": 0}
    if call.flag("details"):
        names = [{"type": item.kind, "id": int(item.id), "count": number} for item in collection.indexes]
        facts["engine"] = {"documents": number, "indexes": [{"type": "primary", "id": 0, "count": number}, *names]}
    return _shown(call, collection, {**_properties(collection), "count": number, "figures": facts}, "/figures")


def revision(call: Call) -> Reply:
    """GET /_api/collection/{collection}/revision"""
    collection = call.collection()
    return _shown(call, collection, {**_properties(collection), "revision": collection.revision}, "/revision")


def checksum(call: Call) -> Reply:
    """GET /_api/collection/{collection}/checksum: the same whatever the order of the documents."""
    collection = call.collection()
    revisions, data = call.flag("withRevisions"), call.flag("withData")
    total = 0
    for doc in collection.current.values():
        text = doc["_key"] + (doc["_rev"] if revisions else "")
        if data:
            text += json.dumps({name: value for name, value in doc.items() if name != "_rev"}, sort_keys=True)
        total += zlib.crc32(text.encode()) * 4294967291
    facts = {**_base(collection), "revision": collection.revision, "checksum": str(total % 2**64)}
    return _shown(call, collection, facts, "/checksum")


def truncate(call: Call) -> Reply:
    """PUT /_api/collection/{collection}/truncate"""
    collection = call.collection("rw")
    with call.work(call.waits(collection)) as trx:
        for doc in list(trx.scan(collection)):
            trx.put(collection, doc["_key"], None)
    return _shown(call, collection, _base(collection), "/truncate")


def rename(call: Call) -> Reply:
    """PUT /_api/collection/{collection}/rename"""
    collection = call.collection("rw")
    call.need_database("rw")
    call.server.catalog.rename(call.database, collection, call.object().get("name"))
    return _shown(call, collection, _base(collection), "/rename")


def drop(call: Call) -> Reply:
    """DELETE /_api/collection/{collection}"""
    collection = call.collection("rw")
    call.need_database("rw")
    if collection.is_system and not call.flag("isSystem"):
        raise ArangoError(11)
    for graph, role in call.server.graphs.using(call.database, collection.name):
        text = f"must not drop collection while part of graph: collection '{collection.name}' is {role} collection"
        raise ArangoError(1942, f"{text} inside graph '{graph}'")
    call.server.catalog.drop_collection(call.database, collection)
    return ok(id=collection.id)


def _kept(call: Call) -> Reply:
    collection = call.collection()
    return _shown(call, collection, {**_base(collection), "count": len(collection.current)})


def recount(call: Call) -> Reply:
    """PUT /_api/collection/{collection}/recalculateCount"""
    return ok(result=True, count=len(call.collection().current))


ROUTES: Routes = {
    "GET /_api/collection": listing,
    "POST /_api/collection": create,
    "GET /_api/collection/{collection}": read,
    "DELETE /_api/collection/{collection}": drop,
    "GET /_api/collection/{collection}/properties": properties,
    "PUT /_api/collection/{collection}/properties": configure,
    "GET /_api/collection/{collection}/count": count,
    "GET /_api/collection/{collection}/figures": figures,
    "GET /_api/collection/{collection}/revision": revision,
    "GET /_api/collection/{collection}/checksum": checksum,
    "PUT /_api/collection/{collection}/truncate": truncate,
    "PUT /_api/collection/{collection}/rename": rename,
    "PUT /_api/collection/{collection}/load": _kept,
    "PUT /_api/collection/{collection}/unload": _kept,
    "PUT /_api/collection/{collection}/compact": _kept,
    "PUT /_api/collection/{collection}/recalculateCount": recount,
    "PUT /_api/collection/{collection}/loadIndexesIntoMemory": lambda call: ok(result=bool(call.collection())),
    "GET /_api/key-generators": lambda _call: ok(keyGenerators=["padded", "uuid", "autoincrement", "traditional"]),
}
