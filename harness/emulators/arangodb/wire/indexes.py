"""/_api/index"""

from __future__ import annotations

from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.index_catalog import create_index, describe, drop_index, listing, primary
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok


def create(call: Call) -> Reply:
    """POST /_api/index"""
    collection = call.collection("rw")
    call.need_database("rw")
    index, new = create_index(call.server.catalog, collection, call.json())
    return ok(201 if new else 200, **describe(collection, index), isNewlyCreated=new)


def list_all(call: Call) -> Reply:
    """GET /_api/index"""
    found = listing(call.collection())
    return ok(indexes=found, identifiers={index["id"]: index for index in found})


def read(call: Call) -> Reply:
    """GET /_api/index/{collection}/{index}"""
    collection, name = call.collection(), call.values["index"]
    if name in ("0", "primary"):
        return ok(**primary(collection))
    index = collection.index(name)
    if index is None:
        raise ArangoError(1212)
    return ok(**describe(collection, index))


def drop(call: Call) -> Reply:
    """DELETE /_api/index/{collection}/{index}"""
    collection = call.collection("rw")
    call.need_database("rw")
    return ok(id=drop_index(call.server.catalog, collection, call.values["index"]))


ROUTES: Routes = {
    "POST /_api/index": create,
    "GET /_api/index": list_all,
    "GET /_api/index/{collection}/{index}": read,
    "DELETE /_api/index/{collection}/{index}": drop,
}
