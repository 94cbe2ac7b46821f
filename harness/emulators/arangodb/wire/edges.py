"""/_api/edges: the edges at a vertex"""

from __future__ import annotations

from harness.emulators.arangodb.collection import EDGE
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok

_ENDS = {"in": ("_to",), "out": ("_from",), "any": ("_from", "_to"), "": ("_from", "_to")}


def read(call: Call) -> Reply:
    """GET /_api/edges/{collection}"""
    collection = call.collection()
    vertex, direction = call.params.get("vertex", ""), call.params.get("direction", "any")
    if collection.kind != EDGE or direction not in _ENDS or "/" not in vertex:
        raise ArangoError(400, "expecting an edge collection, a vertex id and a direction of in, out or any")
    found = {}
    with call.work() as trx:
        for end in _ENDS[direction]:
            for key in collection.indexes[0].keys_of((end, vertex)):
                edge = trx.get(collection, key)
                if edge is not None and edge[end] == vertex:
                    found[key] = edge
    stats = {"scannedIndex": len(found), "filtered": 0}
    return ok(edges=list(found.values()), stats=stats)


ROUTES: Routes = {"GET /_api/edges/{collection}": read}
