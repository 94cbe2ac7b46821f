"""Named graphs, kept as documents of `_graphs`, and the rules for their collections and edges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.emulators.arangodb.catalog import Catalog, Database
from harness.emulators.arangodb.collection import DOCUMENT, EDGE, Collection
from harness.emulators.arangodb.documents import Documents, WriteOptions
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.indexes import Document
from harness.emulators.arangodb.store import Transaction

Definition = dict[str, Any]
"""An edge collection (`collection`) and the collections its edges go `from` and `to`."""


class Graphs:
    """The graphs of every database."""

    def __init__(self, catalog: Catalog, documents: Documents) -> None:
        self._catalog, self._documents = catalog, documents

    def all(self, database: Database) -> list[Document]:
        """Every graph's document."""
        return list(database.collections["_graphs"].current.values())

    def get(self, database: Database, name: str) -> Document:
        """Raises ArangoError 1924."""
        graph = database.collections["_graphs"].current.get(name)
        if graph is None:
            raise ArangoError(1924, f"graph '{name}' not found")
        return graph

    def create(self, database: Database, body: dict[str, Any]) -> Document:
        """A new graph; missing collections are made. Raises ArangoError 1208, 1925, 1920, 1921, 1922."""
        name = body.get("name")
        if not isinstance(name, str) or not name:
            raise ArangoError(1208, f"illegal name: graph name '{name}' is not valid")
        if name in database.collections["_graphs"].current:
            raise ArangoError(1925)
        definitions = [_check_definition(item) for item in _list(body, "edgeDefinitions")]
        return self._save(database, name, definitions, {str(item) for item in _list(body, "orphanCollections")})

    def add_definition(self, database: Database, name: str, body: Any) -> Document:
        """Raises ArangoError 1924, 1920, 1921, 1922."""
        graph = self.get(database, name)
        definitions = [*graph["edgeDefinitions"], _check_definition(body)]
        return self._save(database, name, definitions, set(graph["orphanCollections"]))

    def remove_definition(self, database: Database, name: str, collection: str) -> Document:
        """Take an edge collection out; vertex collections left without edges stay. Raises ArangoError 1924, 1930."""
        graph = self.get(database, name)
        self.definition(graph, collection)
        kept = [item for item in graph["edgeDefinitions"] if item["collection"] != collection]
        return self._save(database, name, kept, vertex_collections(graph))

    def add_orphan(self, database: Database, name: str, collection: Any) -> Document:
        """A vertex collection without edges. Raises ArangoError 1924, 10, 1938, 1218."""
        graph = self.get(database, name)
        if not isinstance(collection, str) or not collection:
            raise ArangoError(10, "collection name missing")
        if collection in vertex_collections(graph):
            raise ArangoError(1938)
        return self._save(database, name, graph["edgeDefinitions"], {*graph["orphanCollections"], collection})

    def _save(self, database: Database, name: str, definitions: list[Definition], orphans: set[str]) -> Document:
        """Make the collections, and write the graph's document."""
        if len({item["collection"] for item in definitions}) < len(definitions):
            raise ArangoError(1920)
        for other in (item for graph in self.all(database) for item in graph["edgeDefinitions"]):
            if any(own["collection"] == other["collection"] and own != other for own in definitions):
                raise ArangoError(1921)
        used = {end for item in definitions for end in (*item["from"], *item["to"])}
        self._make(database, used | orphans, DOCUMENT)
        self._make(database, {item["collection"] for item in definitions}, EDGE)
        facts = {"edgeDefinitions": sorted(definitions, key=lambda item: str(item["collection"]))}
        body = {"_key": name, **facts, "orphanCollections": sorted(orphans - used)}
        trx, replace = self._catalog.store.begin(), WriteOptions(overwrite_mode="replace")
        outcome = self._documents.insert(trx, database.collections["_graphs"], body, replace)
        trx.commit()
        return outcome.new or {}

    def _make(self, database: Database, names: set[str], kind: int) -> None:
        for name in sorted(names):
            if name not in database.collections:
                self._catalog.create_collection(database, {"name": name, "type": kind})
            elif kind == EDGE and database.find(name).kind != EDGE:
                raise ArangoError(1218, f"invalid collection type: {name} is not an edge collection")

    def drop(self, database: Database, name: str, drop_collections: bool) -> None:
        """Remove a graph and, if wanted, the collections no other graph uses. Raises ArangoError 1924."""
        graph, trx = self.get(database, name), self._catalog.store.begin()
        self._documents.remove(trx, database.collections["_graphs"], name)
        trx.commit()
        used = {item for other in self.all(database) for item in _collections(other)}
        for collection in _collections(graph) - used if drop_collections else ():
            self._catalog.drop_collection(database, database.find(collection))

    def using(self, database: Database, collection: str) -> str:
        """The name of a graph that holds a collection; empty if none does."""
        return next((str(graph["_key"]) for graph in self.all(database) if collection in _collections(graph)), "")

    # -- vertices and edges

    def definition(self, graph: Document, collection: str) -> Definition:
        """The definition of an edge collection. Raises ArangoError 1930."""
        for item in graph["edgeDefinitions"]:
            if item["collection"] == collection:
                return dict(item)
        raise ArangoError(1930, f"edge collection '{collection}' not used in graph")

    def check_ends(self, trx: Transaction, database: Database, graph: Document, edge: Document) -> None:
        """Both ends must be vertices that exist. Raises ArangoError 1233, 1947, 1202."""
        for end in ("_from", "_to"):
            name, slash, key = str(edge.get(end)).partition("/")
            if not slash or not key:
                raise ArangoError(1233)
            if name not in vertex_collections(graph):
                raise ArangoError(1947, f"referenced {end} collection '{name}' is not part of the graph")
            if trx.get(database.find(name), key) is None:
                raise ArangoError(1202)

    def incident(self, trx: Transaction, database: Database, vertex: str) -> Iterator[tuple[Collection, str]]:
        """Every edge at a vertex in every graph that has the vertex's collection."""
        name = vertex.partition("/")[0]
        graphs = [graph for graph in self.all(database) if name in vertex_collections(graph)]
        for edges in sorted({item["collection"] for graph in graphs for item in graph["edgeDefinitions"]}):
            collection = database.find(edges)
            for end in ("_from", "_to"):
                for key in collection.edges_at(end, vertex):
                    edge = trx.get(collection, key)
                    if edge is not None and edge[end] == vertex:
                        yield collection, key


def _list(body: dict[str, Any], name: str) -> list[Any]:
    given = body.get(name) or []
    if not isinstance(given, list):
        raise ArangoError(10, f"'{name}' must be an array")
    return given


def _check_definition(body: Any) -> Definition:
    valid = isinstance(body, dict) and isinstance(body.get("collection"), str) and body["collection"]
    if not valid or not all(isinstance(body.get(side), list) and body[side] for side in ("from", "to")):
        raise ArangoError(1922, "malformed edge definition")
    ends = {side: sorted(set(map(str, body[side]))) for side in ("from", "to")}
    return {"collection": body["collection"], **ends}


def vertex_collections(graph: Document) -> set[str]:
    """The vertex collections of a graph, those without edges too."""
    ends = {name for item in graph["edgeDefinitions"] for name in (*item["from"], *item["to"])}
    return ends | set(graph["orphanCollections"])


def _collections(graph: Document) -> set[str]:
    return vertex_collections(graph) | {item["collection"] for item in graph["edgeDefinitions"]}
