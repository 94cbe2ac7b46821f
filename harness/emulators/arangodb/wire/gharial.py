"""/_api/gharial: named graphs, their definitions, vertices and edges"""

from __future__ import annotations

from typing import Any

from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.documents import Outcome, key_of
from harness.emulators.arangodb.graphs import public, vertex_collections
from harness.emulators.arangodb.indexes import Document
from harness.emulators.arangodb.store import Transaction
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok
from harness.emulators.arangodb.wire.documents import write_options


def _graph(graph: Document, status: int = 200) -> Reply:
    return Reply(status, {"error": False, "code": status, "graph": public(graph)}, {"etag": graph["_rev"]})


def _written(call: Call) -> int:
    return 201 if call.flag("waitForSync") else 202


def listing(call: Call) -> Reply:
    """GET /_api/gharial"""
    return ok(graphs=[public(graph) for graph in call.server.graphs.all(call.database)])


def create(call: Call) -> Reply:
    """POST /_api/gharial"""
    call.need_database("rw")
    return _graph(call.server.graphs.create(call.database, call.object()), _written(call))


def read(call: Call) -> Reply:
    """GET /_api/gharial/{graph}"""
    return _graph(call.server.graphs.get(call.database, call.values["graph"]))


def drop(call: Call) -> Reply:
    """DELETE /_api/gharial/{graph}"""
    call.need_database("rw")
    call.server.graphs.drop(call.database, call.values["graph"], call.flag("dropCollections"))
    return ok(202, removed=True)


# -- definitions


def vertex_collection_list(call: Call) -> Reply:
    """GET /_api/gharial/{graph}/vertex"""
    graph = call.server.graphs.get(call.database, call.values["graph"])
    return ok(collections=sorted(vertex_collections(graph) | set(graph["orphanCollections"])))


def add_vertex_collection(call: Call) -> Reply:
    """POST /_api/gharial/{graph}/vertex"""
    call.need_database("rw")
    name = call.object().get("collection")
    return _graph(call.server.graphs.add_orphan(call.database, call.values["graph"], name), _written(call))


def drop_vertex_collection(call: Call) -> Reply:
    """DELETE /_api/gharial/{graph}/vertex/{collection}"""
    call.need_database("rw")
    name, drop_it = call.values["collection"], call.flag("dropCollection")
    return _graph(call.server.graphs.remove_orphan(call.database, call.values["graph"], name, drop_it), 202)


def edge_collection_list(call: Call) -> Reply:
    """GET /_api/gharial/{graph}/edge"""
    graph = call.server.graphs.get(call.database, call.values["graph"])
    return ok(collections=sorted(item["collection"] for item in graph["edgeDefinitions"]))


def add_definition(call: Call) -> Reply:
    """POST /_api/gharial/{graph}/edge"""
    call.need_database("rw")
    graph = call.server.graphs.add_definition(call.database, call.values["graph"], call.json())
    return _graph(graph, _written(call))


def replace_definition(call: Call) -> Reply:
    """PUT /_api/gharial/{graph}/edge/{collection}"""
    call.need_database("rw")
    name = call.values["collection"]
    graph = call.server.graphs.replace_definition(call.database, call.values["graph"], name, call.json())
    return _graph(graph, _written(call))


def drop_definition(call: Call) -> Reply:
    """DELETE /_api/gharial/{graph}/edge/{collection}"""
    call.need_database("rw")
    name, drop_it = call.values["collection"], call.flag("dropCollections")
    return _graph(call.server.graphs.remove_definition(call.database, call.values["graph"], name, drop_it), 202)


# -- vertices and edges


def _target(call: Call, kind: str, right: str) -> tuple[Document, Collection]:
    graph = call.server.graphs.get(call.database, call.values["graph"])
    graphs = call.server.graphs
    find = graphs.vertex_collection if kind == "vertex" else graphs.edge_collection
    find(call.database, graph, call.values["collection"])
    return graph, call.collection(right)


def _kind(call: Call) -> str:
    return "vertex" if "/vertex/" in call.path else "edge"


def _answer(call: Call, collection: Collection, outcome: Outcome) -> Reply:
    status = 201 if call.waits(collection) else 202
    doc = outcome.new or {}
    names = [name for name in ("_id", "_key", "_rev", "_from", "_to") if name in doc]
    facts: dict[str, Any] = {name: doc[name] for name in names}
    if outcome.old is not None:
        facts["_oldRev"] = outcome.old["_rev"]
    body: dict[str, Any] = {"error": False, "code": status, _kind(call): facts}
    if call.flag("returnNew"):
        body["new"] = outcome.new
    if call.flag("returnOld") and outcome.old is not None:
        body["old"] = outcome.old
    return Reply(status, body, {"etag": f'"{doc["_rev"]}"'})


def insert(call: Call) -> Reply:
    """POST /_api/gharial/{graph}/vertex|edge/{collection}"""
    kind, body = _kind(call), call.object()
    graph, collection = _target(call, kind, "rw")
    with call.work(call.waits(collection)) as trx:
        if kind == "edge":
            call.server.graphs.check_ends(trx, call.database, graph, body)
        outcome = call.server.documents.insert(trx, collection, body, write_options(call))
    return _answer(call, collection, outcome)


def get(call: Call) -> Reply:
    """GET /_api/gharial/{graph}/vertex|edge/{collection}/{key}"""
    _, collection = _target(call, _kind(call), "ro")
    with call.work() as trx:
        doc = call.server.documents.fetch(trx, collection, key_of(call.values["key"]), call.match())
    etag = {"etag": f'"{doc["_rev"]}"'}
    if call.match("if-none-match") == doc["_rev"]:
        return Reply(304, raw=b"", headers=etag)
    return Reply(200, {"error": False, "code": 200, _kind(call): doc}, etag)


def change(call: Call) -> Reply:
    """PUT and PATCH /_api/gharial/{graph}/vertex|edge/{collection}/{key}"""
    kind, body, key = _kind(call), call.object(), key_of(call.values["key"])
    graph, collection = _target(call, kind, "rw")
    docs = call.server.documents
    operation = docs.replace if call.method == "PUT" else docs.update
    with call.work(call.waits(collection)) as trx:
        if kind == "edge" and (call.method == "PUT" or "_from" in body or "_to" in body):
            old = docs.fetch(trx, collection, key)
            call.server.graphs.check_ends(trx, call.database, graph, {**_ends(old), **body})
        outcome = operation(trx, collection, key, body, write_options(call), call.match())
    return _answer(call, collection, outcome)


def _ends(edge: Document) -> Document:
    return {"_from": edge["_from"], "_to": edge["_to"]}


def remove(call: Call) -> Reply:
    """DELETE /_api/gharial/{graph}/vertex|edge/{collection}/{key}: with a vertex go all edges at it"""
    _, collection = _target(call, _kind(call), "rw")
    with call.work(call.waits(collection)) as trx:
        outcome = call.server.documents.remove(trx, collection, key_of(call.values["key"]), call.match())
        if "dangling-edges" not in call.server.defects:
            _remove_incident(call, trx, f"{collection.name}/{call.values['key']}")
    old = {"old": outcome.old} if call.flag("returnOld") else {}
    return ok(200 if call.waits(collection) else 202, removed=True, **old)


def _remove_incident(call: Call, trx: Transaction, vertex: str) -> None:
    stream = call.stream()
    for edges, key in call.server.graphs.incident(trx, call.database, vertex):
        if stream is not None:
            stream.may_write(edges)
        trx.put(edges, key, None)


ROUTES: Routes = {
    "GET /_api/gharial": listing,
    "POST /_api/gharial": create,
    "GET /_api/gharial/{graph}": read,
    "DELETE /_api/gharial/{graph}": drop,
    "GET /_api/gharial/{graph}/vertex": vertex_collection_list,
    "POST /_api/gharial/{graph}/vertex": add_vertex_collection,
    "DELETE /_api/gharial/{graph}/vertex/{collection}": drop_vertex_collection,
    "GET /_api/gharial/{graph}/edge": edge_collection_list,
    "POST /_api/gharial/{graph}/edge": add_definition,
    "PUT /_api/gharial/{graph}/edge/{collection}": replace_definition,
    "DELETE /_api/gharial/{graph}/edge/{collection}": drop_definition,
    **{f"POST /_api/gharial/{{graph}}/{kind}/{{collection}}": insert for kind in ("vertex", "edge")},
    **{f"GET /_api/gharial/{{graph}}/{kind}/{{collection}}/{{key}}": get for kind in ("vertex", "edge")},
    **{f"PUT /_api/gharial/{{graph}}/{kind}/{{collection}}/{{key}}": change for kind in ("vertex", "edge")},
    **{f"PATCH /_api/gharial/{{graph}}/{kind}/{{collection}}/{{key}}": change for kind in ("vertex", "edge")},
    **{f"DELETE /_api/gharial/{{graph}}/{kind}/{{collection}}/{{key}}": remove for kind in ("vertex", "edge")},
}
