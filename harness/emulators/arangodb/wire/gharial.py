"""/_api/gharial: named graphs, their vertices and edges; and /_api/edges"""

from __future__ import annotations

from typing import Any

from harness.emulators.arangodb.collection import EDGE, Collection
from harness.emulators.arangodb.documents import Outcome, key_of
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.graphs import vertex_collections
from harness.emulators.arangodb.indexes import Document
from harness.emulators.arangodb.store import Transaction
from harness.emulators.arangodb.wire.call import Call, Handler, Reply, Routes, ok
from harness.emulators.arangodb.wire.documents import changed, write_options

_ENDS = {"in": ("_to",), "out": ("_from",), "any": ("_from", "_to")}


def _public(graph: Document) -> Document:
    return {**graph, "name": graph["_key"]}


def _graph(call: Call) -> Document:
    return call.server.graphs.get(call.database, call.values["graph"])


def _shown(graph: Document, status: int = 202) -> Reply:
    return Reply(status, {"error": False, "code": status, "graph": _public(graph)}, {"etag": graph["_rev"]})


def _create(call: Call) -> Reply:
    call.need_database()
    return _shown(call.server.graphs.create(call.database, call.object()))


def _drop(call: Call) -> Reply:
    call.need_database()
    call.server.graphs.drop(call.database, call.values["graph"], call.flag("dropCollections"))
    return ok(202, removed=True)


def _add_vertices(call: Call) -> Reply:
    call.need_database()
    name = call.object().get("collection")
    return _shown(call.server.graphs.add_orphan(call.database, call.values["graph"], name))


def _add_edges(call: Call) -> Reply:
    call.need_database()
    return _shown(call.server.graphs.add_definition(call.database, call.values["graph"], call.json()))


def _remove_edges(call: Call) -> Reply:
    call.need_database()
    values = call.values
    return _shown(call.server.graphs.remove_definition(call.database, values["graph"], values["collection"]))


# -- vertices and edges


class _Items:
    """The handlers for one kind: `vertex` or `edge`."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def routes(self) -> dict[str, Handler]:
        """What they answer."""
        path = f"/_api/gharial/{{graph}}/{self._kind}/{{collection}}"
        one = {"GET": self._get, "PUT": self._change, "PATCH": self._change, "DELETE": self._remove}
        return {f"POST {path}": self._insert, **{f"{verb} {path}/{{key}}": handler for verb, handler in one.items()}}

    def _target(self, call: Call, write: bool) -> Collection:
        graph, name = _graph(call), call.values["collection"]
        if self._kind == "edge":
            call.server.graphs.definition(graph, name)
        elif name not in vertex_collections(graph):
            raise ArangoError(1949, f"the given collection '{name}' is not part of the graph")
        return call.collection(write)

    def _answer(self, call: Call, collection: Collection, outcome: Outcome) -> Reply:
        status, doc = 201 if call.waits(collection) else 202, outcome.new or {}
        facts: Document = {name: doc[name] for name in ("_id", "_key", "_rev", "_from", "_to") if name in doc}
        if outcome.old is not None:
            facts["_oldRev"] = outcome.old["_rev"]
        body = {"error": False, "code": status, self._kind: facts, **changed(call, outcome)}
        return Reply(status, body, {"etag": f'"{doc["_rev"]}"'})

    def _insert(self, call: Call) -> Reply:
        collection, body = self._target(call, True), call.object()
        with call.work(collection) as trx:
            if self._kind == "edge":
                call.server.graphs.check_ends(trx, call.database, _graph(call), body)
            outcome = call.server.documents.insert(trx, collection, body, write_options(call))
        return self._answer(call, collection, outcome)

    def _get(self, call: Call) -> Reply:
        collection = self._target(call, False)
        with call.work() as trx:
            doc = call.server.documents.fetch(trx, collection, key_of(call.values["key"]), call.match())
        body: dict[str, Any] = {"error": False, "code": 200, self._kind: doc}
        return Reply(200, body, {"etag": f'"{doc["_rev"]}"'})

    def _change(self, call: Call) -> Reply:
        collection, body, key = self._target(call, True), call.object(), key_of(call.values["key"])
        docs = call.server.documents
        with call.work(collection) as trx:
            if self._kind == "edge" and {"_from", "_to"} & set(body):
                old = docs.fetch(trx, collection, key)
                call.server.graphs.check_ends(trx, call.database, _graph(call), {**old, **body})
            change = docs.replace if call.method == "PUT" else docs.update
            outcome = change(trx, collection, key, body, write_options(call))
        return self._answer(call, collection, outcome)

    def _remove(self, call: Call) -> Reply:
        """With a vertex go all edges at it."""
        collection, key = self._target(call, True), key_of(call.values["key"])
        with call.work(collection) as trx:
            outcome = call.server.documents.remove(trx, collection, key, call.match())
            if self._kind == "vertex" and "dangling-edges" not in call.server.defects:
                _remove_incident(call, trx, f"{collection.name}/{key}")
        return ok(200 if call.waits(collection) else 202, removed=True, **changed(call, outcome))


def _remove_incident(call: Call, trx: Transaction, vertex: str) -> None:
    stream = call.stream
    for edges, key in call.server.graphs.incident(trx, call.database, vertex):
        if stream is not None:
            stream.authorize(edges, True)
        trx.put(edges, key, None)


def _edges_at(call: Call) -> Reply:
    """The edges at a vertex, by the edge index."""
    collection, vertex, way = call.collection(), call.params.get("vertex", ""), call.params.get("direction") or "any"
    if collection.kind != EDGE or way not in _ENDS or "/" not in vertex:
        raise ArangoError(400, "expecting an edge collection, a vertex id and a direction of in, out or any")
    with call.work() as trx:
        near = {key: end for end in _ENDS[way] for key in collection.edges_at(end, vertex)}
        found = [edge for key, end in near.items() if (edge := trx.get(collection, key)) and edge[end] == vertex]
    return ok(edges=found, stats={"scannedIndex": len(found), "filtered": 0})


ROUTES: Routes = {
    "GET /_api/gharial": lambda call: ok(graphs=[_public(one) for one in call.server.graphs.all(call.database)]),
    "POST /_api/gharial": _create,
    "GET /_api/gharial/{graph}": lambda call: _shown(_graph(call), 200),
    "DELETE /_api/gharial/{graph}": _drop,
    "GET /_api/gharial/{graph}/vertex": lambda call: ok(collections=sorted(vertex_collections(_graph(call)))),
    "POST /_api/gharial/{graph}/vertex": _add_vertices,
    "GET /_api/gharial/{graph}/edge": lambda call: ok(
        collections=[item["collection"] for item in _graph(call)["edgeDefinitions"]]
    ),
    "POST /_api/gharial/{graph}/edge": _add_edges,
    "DELETE /_api/gharial/{graph}/edge/{collection}": _remove_edges,
    **_Items("vertex").routes(),
    **_Items("edge").routes(),
    "GET /_api/edges/{collection}": _edges_at,
}
