"""The edges at a vertex, as a traversal's graph or edge collections give them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.emulators.arangodb.aql.context import Context
from harness.emulators.arangodb.aql.values import is_number
from harness.emulators.arangodb.collection import EDGE, Collection
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.indexes import Document

_ENDS = {"OUTBOUND": (("_from", "_to"),), "INBOUND": (("_to", "_from"),), "ANY": (("_from", "_to"), ("_to", "_from"))}
_REVERSED = {"OUTBOUND": "INBOUND", "INBOUND": "OUTBOUND", "ANY": "ANY"}


class Neighbours:
    """Steps from vertex to vertex over edge collections, each with a direction of its own."""

    def __init__(self, ctx: Context, collections: Iterable[tuple[str, str]], options: dict[str, Any]) -> None:
        self._ctx = ctx
        self._options = options
        allowed = _names(options.get("edgeCollections"))
        self._edges = [
            (direction, _edge_collection(ctx, name))
            for direction, name in collections
            if allowed is None or name in allowed
        ]
        self._vertices = _names(options.get("vertexCollections"))

    def of(self, vertex: str, *, backwards: bool = False) -> Iterator[tuple[Document, str]]:
        """Every edge at a vertex with the id of its other end, by the edge index."""
        ctx = self._ctx
        for direction, collection in self._edges:
            for near, far in _ENDS[_REVERSED[direction] if backwards else direction]:
                for key in collection.indexes[0].keys_of((near, vertex)):
                    edge = ctx.trx.get(collection, key)
                    if edge is not None and edge[near] == vertex and self._allows(edge[far]):
                        ctx.step()
                        ctx.bump("scannedIndex")
                        yield edge, edge[far]

    def _allows(self, vertex: str) -> bool:
        return self._vertices is None or vertex.partition("/")[0] in self._vertices

    def weight(self, edge: Document) -> int | float:
        """The cost of an edge: its weight attribute, else defaultWeight. Raises ArangoError 1948 if negative."""
        attribute = self._options.get("weightAttribute")
        default = self._options.get("defaultWeight", 1)
        value = edge.get(attribute, default) if attribute else 1
        weight = value if is_number(value) else default
        if weight < 0:
            raise ArangoError(1948, "negative edge weight found during weighted traversal or shortest path search")
        return weight


def _names(given: Any) -> frozenset[str] | None:
    if given is None:
        return None
    return frozenset([given] if isinstance(given, str) else given)


def _edge_collection(ctx: Context, name: str) -> Collection:
    collection = ctx.reading(name)
    if collection.kind != EDGE:
        raise ArangoError(1218, f"invalid collection type: {name} is not an edge collection")
    return collection


def graph_collections(ctx: Context, name: Any, direction: str) -> list[tuple[str, str]]:
    """The edge collections of a named graph. Raises ArangoError 1924."""
    graph = ctx.graph(str(name))
    for definition in graph["edgeDefinitions"]:
        for vertices in {*definition["from"], *definition["to"]}:
            ctx.reading(vertices)
    return [(direction, definition["collection"]) for definition in graph["edgeDefinitions"]]


def start_id(ctx: Context, value: Any) -> str | None:
    """The id of a start vertex, or None with warning 10 if the value is neither an id nor a document."""
    ident = value.get("_id") if isinstance(value, dict) else value
    if isinstance(ident, str) and "/" in ident:
        return ident
    ctx.warn(10, "Invalid input for traversal: Only id strings or objects with _id are allowed")
    return None


def depths(value: Any) -> tuple[int, int]:
    """The least and greatest depth of `n` or `min..max`. Raises ArangoError 1501 when they make no sense."""
    low, high = (value[0], value[-1]) if isinstance(value, list) and value else (value, value)
    if not is_number(low) or not is_number(high) or low < 0 or high < low:
        raise ArangoError(1501, "invalid traversal depth (while instantiating plan)")
    return int(low), int(high)
