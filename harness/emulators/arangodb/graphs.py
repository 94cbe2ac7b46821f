"""Named graphs, kept as documents of `_graphs`, and the rules for their collections and edges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.emulators.arangodb.catalog import Catalog, Database, valid_collection_name
from harness.emulators.arangodb.collection import DOCUMENT, EDGE, Collection
from harness.emulators.arangodb.documents import Documents, WriteOptions, split_id
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.indexes import Document
from harness.emulators.arangodb.store import Transaction

_PLAIN = WriteOptions(merge_objects=False)


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

    def _save(self, database: Database, name: str, facts: dict[str, Any] | None, *, new: bool = False) -> Document:
        trx, kept = self._catalog.store.begin(), database.collections["_graphs"]
        if facts is None:
            outcome = self._documents.remove(trx, kept, name)
        elif new:
            outcome = self._documents.insert(trx, kept, {"_key": name, **facts}, _PLAIN)
        else:
            outcome = self._documents.replace(trx, kept, name, facts, _PLAIN)
        trx.commit()
        return outcome.new or {}

    def create(self, database: Database, body: dict[str, Any]) -> Document:
        """A new graph; missing collections are made. Raises ArangoError 1208, 1925, 1920, 1921."""
        name = body.get("name")
        if not isinstance(name, str) or not valid_collection_name(name, False):
            raise ArangoError(1208, f"illegal name: graph name '{name}' is not valid")
        if name in database.collections["_graphs"].current:
            raise ArangoError(1925)
        definitions = [check_definition(item) for item in _list(body, "edgeDefinitions")]
        if len({item["collection"] for item in definitions}) < len(definitions):
            raise ArangoError(1920)
        orphans = [str(item) for item in _list(body, "orphanCollections")]
        for definition in definitions:
            self._check_consistent(database, name, definition)
        self._make_collections(database, definitions, orphans)
        facts: dict[str, Any] = {"edgeDefinitions": sorted(definitions, key=lambda item: str(item["collection"]))}
        used = {name for item in definitions for name in (*item["from"], *item["to"])}
        facts["orphanCollections"] = sorted({item for item in orphans if item not in used})
        return self._save(database, name, facts, new=True)

    def _check_consistent(self, database: Database, name: str, definition: dict[str, Any]) -> None:
        for graph in self.all(database):
            for other in graph["edgeDefinitions"]:
                if graph["_key"] != name and other["collection"] == definition["collection"] and other != definition:
                    raise ArangoError(1921)

    def _make_collections(self, database: Database, definitions: list[dict[str, Any]], others: list[str]) -> None:
        wanted = {name: DOCUMENT for item in definitions for name in (*item["from"], *item["to"])}
        wanted |= dict.fromkeys(others, DOCUMENT)
        wanted |= {item["collection"]: EDGE for item in definitions}
        for name, kind in wanted.items():
            found = database.collections.get(name)
            if found is None:
                self._catalog.create_collection(database, {"name": name, "type": kind})
            elif found.kind != kind and kind == EDGE:
                raise ArangoError(1218, f"invalid collection type: {name} is not an edge collection")

    def drop(self, database: Database, name: str, drop_collections: bool) -> None:
        """Remove a graph and, if wanted, the collections no other graph uses. Raises ArangoError 1924."""
        graph = self.get(database, name)
        self._save(database, name, None)
        if drop_collections:
            used = {item for other in self.all(database) for item in collections_of(other)}
            for collection in collections_of(graph) - used:
                self._catalog.drop_collection(database, database.find(collection))

    def using(self, database: Database, collection: str) -> Iterator[tuple[str, str]]:
        """The graphs that hold a collection and as what."""
        for graph in self.all(database):
            if collection in collections_of(graph):
                yield graph["_key"], _role(graph, collection)

    # -- vertex collections

    def add_orphan(self, database: Database, name: str, collection: Any) -> Document:
        """Raises ArangoError 1924, 1208, 1938, 1218."""
        graph = self.get(database, name)
        if not isinstance(collection, str) or not collection:
            raise ArangoError(10, "collection name missing")
        if collection in graph["orphanCollections"] or collection in vertex_collections(graph):
            raise ArangoError(1938)
        if collection in database.collections and database.find(collection).kind == EDGE:
            raise ArangoError(1218)
        self._make_collections(database, [], [collection])
        orphans = sorted([*graph["orphanCollections"], collection])
        return self._save(database, name, {**_facts(graph), "orphanCollections": orphans})

    def remove_orphan(self, database: Database, name: str, collection: str, drop: bool) -> Document:
        """Raises ArangoError 1924, 1926 for a collection outside the graph, 1928 for one that edges use."""
        graph = self.get(database, name)
        if collection not in graph["orphanCollections"]:
            raise ArangoError(1928 if collection in vertex_collections(graph) else 1926)
        kept = [item for item in graph["orphanCollections"] if item != collection]
        saved = self._save(database, name, {**_facts(graph), "orphanCollections": kept})
        if drop and not any(self.using(database, collection)):
            self._catalog.drop_collection(database, database.find(collection))
        return saved

    # -- edge definitions

    def add_definition(self, database: Database, name: str, body: Any) -> Document:
        """Raises ArangoError 1924, 1920, 1921."""
        graph, definition = self.get(database, name), check_definition(body)
        if any(item["collection"] == definition["collection"] for item in graph["edgeDefinitions"]):
            raise ArangoError(1920)
        self._check_consistent(database, name, definition)
        self._make_collections(database, [definition], [])
        return self._redefine(database, graph, [*graph["edgeDefinitions"], definition])

    def replace_definition(self, database: Database, name: str, collection: str, body: Any) -> Document:
        """Changes every graph with that edge collection. Raises ArangoError 1924, 1930."""
        definition = check_definition({**body, "collection": collection} if isinstance(body, dict) else body)
        self._definition(self.get(database, name), collection)
        self._make_collections(database, [definition], [])
        for graph in self.all(database):
            if any(item["collection"] == collection for item in graph["edgeDefinitions"]):
                others = [item for item in graph["edgeDefinitions"] if item["collection"] != collection]
                self._redefine(database, graph, [*others, definition])
        return self.get(database, name)

    def remove_definition(self, database: Database, name: str, collection: str, drop: bool) -> Document:
        """Raises ArangoError 1924, 1930."""
        graph = self.get(database, name)
        self._definition(graph, collection)
        kept = [item for item in graph["edgeDefinitions"] if item["collection"] != collection]
        saved = self._redefine(database, graph, kept)
        if drop and not any(self.using(database, collection)):
            self._catalog.drop_collection(database, database.find(collection))
        return saved

    def _definition(self, graph: Document, collection: str) -> dict[str, Any]:
        for item in graph["edgeDefinitions"]:
            if item["collection"] == collection:
                return dict(item)
        raise ArangoError(1930, f"edge collection '{collection}' not used in graph")

    def _redefine(self, database: Database, graph: Document, definitions: list[dict[str, Any]]) -> Document:
        """Store other edge definitions: vertex collections without edges become orphans, and the other way round."""
        used = {name for item in definitions for name in (*item["from"], *item["to"])}
        orphans = sorted((set(graph["orphanCollections"]) | vertex_collections(graph)) - used)
        ordered = sorted(definitions, key=lambda item: str(item["collection"]))
        return self._save(database, graph["_key"], {"edgeDefinitions": ordered, "orphanCollections": orphans})

    # -- vertices and edges

    def vertex_collection(self, database: Database, graph: Document, name: str) -> Collection:
        """Raises ArangoError 1203, 1949."""
        if name not in vertex_collections(graph) | set(graph["orphanCollections"]):
            raise ArangoError(1949, f"the given collection '{name}' is not part of the graph")
        return database.find(name)

    def edge_collection(self, database: Database, graph: Document, name: str) -> Collection:
        """Raises ArangoError 1930."""
        self._definition(graph, name)
        return database.find(name)

    def check_ends(self, trx: Transaction, database: Database, graph: Document, edge: Any) -> None:
        """Both ends must be vertices that exist. Raises ArangoError 1233, 1947, 1202."""
        for end in ("_from", "_to"):
            if not isinstance(edge, dict) or not isinstance(edge.get(end), str) or "/" not in edge[end]:
                raise ArangoError(1233)
            name, key = split_id(edge[end])
            if name not in vertex_collections(graph) | set(graph["orphanCollections"]):
                raise ArangoError(1947, f"referenced {end} collection '{name}' is not part of the graph")
            if trx.get(database.find(name), key) is None:
                raise ArangoError(1202)

    def incident(self, trx: Transaction, database: Database, vertex: str) -> Iterator[tuple[Collection, str]]:
        """Every edge at a vertex in every graph that has the vertex's collection."""
        name = vertex.partition("/")[0]
        graphs = [graph for graph in self.all(database) if name in collections_of(graph)]
        for edges in sorted({item["collection"] for graph in graphs for item in graph["edgeDefinitions"]}):
            collection = database.find(edges)
            for end in ("_from", "_to"):
                for key in collection.indexes[0].keys_of((end, vertex)):
                    edge = trx.get(collection, key)
                    if edge is not None and edge[end] == vertex:
                        yield collection, key


def _list(body: dict[str, Any], name: str) -> list[Any]:
    given = body.get(name) or []
    if not isinstance(given, list):
        raise ArangoError(10, f"'{name}' must be an array")
    return given


def check_definition(body: Any) -> dict[str, Any]:
    """An edge definition with its collections sorted. Raises ArangoError 1922."""
    valid = isinstance(body, dict) and isinstance(body.get("collection"), str) and body["collection"]
    if not valid or not all(isinstance(body.get(side), list) and body[side] for side in ("from", "to")):
        raise ArangoError(1922, "malformed edge definition")
    ends = {side: sorted(set(map(str, body[side]))) for side in ("from", "to")}
    return {"collection": body["collection"], **ends}


def vertex_collections(graph: Document) -> set[str]:
    """The vertex collections of a graph's edge definitions."""
    return {name for item in graph["edgeDefinitions"] for name in (*item["from"], *item["to"])}


def collections_of(graph: Document) -> set[str]:
    """Every collection of a graph."""
    edges = {item["collection"] for item in graph["edgeDefinitions"]}
    return edges | vertex_collections(graph) | set(graph["orphanCollections"])


def _facts(graph: Document) -> dict[str, Any]:
    return {name: graph[name] for name in ("edgeDefinitions", "orphanCollections")}


def _role(graph: Document, collection: str) -> str:
    if collection in graph["orphanCollections"]:
        return "an orphan"
    return "a vertex" if collection in vertex_collections(graph) else "an edge"


def public(graph: Document) -> Document:
    """A graph as the API shows it."""
    return {
        **{name: value for name, value in graph.items() if name != "_key"},
        "_key": graph["_key"],
        "name": graph["_key"],
    }
