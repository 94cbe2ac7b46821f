"""Steps over edges, and graph traversals, depth-first and breadth-first (AQL manual: "Graph traversals")."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.values import is_number, truth
from harness.emulators.arangodb.collection import EDGE
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
from harness.emulators.arangodb.indexes import Document

_ENDS = {"OUTBOUND": (("_from", "_to"),), "INBOUND": (("_to", "_from"),), "ANY": (("_from", "_to"), ("_to", "_from"))}
_REVERSED = {"OUTBOUND": "INBOUND", "INBOUND": "OUTBOUND", "ANY": "ANY"}


class Neighbours:
    """Steps from vertex to vertex over edge collections, each with a direction of its own."""

    def __init__(self, ctx: Context, edges: list[tuple[str, str]], options: dict[str, Any]) -> None:
        self._ctx, self._options = ctx, options
        self._edges = [(direction, ctx.reading(name)) for direction, name in edges]
        for _, collection in self._edges:
            if collection.kind != EDGE:
                text = f"invalid collection type: {collection.name} is not an edge collection"
                raise ArangoError(1218, text)

    def of(self, vertex: str, *, backwards: bool = False) -> Iterator[tuple[Document, str]]:
        """Every edge at a vertex with the id of its other end, by the edge index."""
        ctx = self._ctx
        for direction, collection in self._edges:
            for near, far in _ENDS[_REVERSED[direction] if backwards else direction]:
                for key in collection.edges_at(near, vertex):
                    edge = ctx.trx.get(collection, key)
                    if edge is not None and edge[near] == vertex:
                        ctx.step()
                        ctx.bump("scannedIndex")
                        yield edge, edge[far]

    def weight(self, edge: Document) -> int | float:
        """The cost of an edge: its weight attribute, else defaultWeight. Raises ArangoError 1948 if negative."""
        attribute = self._options.get("weightAttribute")
        default = self._options.get("defaultWeight", 1)
        value = edge.get(attribute, default) if attribute else 1
        weight = value if is_number(value) else default
        if weight < 0:
            raise ArangoError(1948, "negative edge weight found during weighted traversal or shortest path search")
        return weight


def start_id(ctx: Context, value: Any) -> str | None:
    """The id of a vertex that exists, else None; warning 10 if the value is neither an id nor a document."""
    ident = value.get("_id") if isinstance(value, dict) else value
    if isinstance(ident, str) and "/" in ident:
        return ident if ctx.lookup(ident) is not None else None
    ctx.warn(10, "Invalid input for traversal: Only id strings or objects with _id are allowed")
    return None


def _depths(value: Any) -> tuple[int, int]:
    """The least and greatest depth of `n` or `min..max`. Raises ArangoError 1501 when they make no sense."""
    low, high = (value[0], value[-1]) if isinstance(value, list) and value else (value, value)
    if not is_number(low) or not is_number(high) or low < 0 or high < low:
        raise ArangoError(1501, "invalid traversal depth (while instantiating plan)")
    return int(low), int(high)


@dataclass(frozen=True, slots=True)
class Trail:
    """A path so far: the last vertex, the edge that led to it, the trail before, depth and cost."""

    vertex: str
    edge: Document | None = None
    before: Trail | None = None
    depth: int = 0
    cost: float = 0

    def forwards(self) -> list[Trail]:
        """All trails from the start to this one."""
        trails: list[Trail] = [self]
        while (before := trails[-1].before) is not None:
            trails.append(before)
        return trails[::-1]

    def path(self, ctx: Context) -> dict[str, Any]:
        """Its vertices and edges as AQL has them."""
        trails = self.forwards()
        vertices = [ctx.lookup(item.vertex) for item in trails]
        return {"vertices": vertices, "edges": [item.edge for item in trails[1:]]}


@dataclass(frozen=True, slots=True)
class Rules:
    """How a traversal walks."""

    breadth_first: bool
    unique_vertices: str
    unique_edges: str

    @classmethod
    def of(cls, options: dict[str, Any]) -> Rules:
        """From the OPTIONS object. Raises ArangoError 10 for a combination the server refuses, NotEmulatedError."""
        order = options.get("order") or ("bfs" if options.get("bfs") else "dfs")
        rules = cls(order == "bfs", options.get("uniqueVertices", "none"), options.get("uniqueEdges", "path"))
        if order not in ("bfs", "dfs") or "edgeCollections" in options or "vertexCollections" in options:
            raise NotEmulatedError("traversal option order 'weighted', edgeCollections or vertexCollections")
        if rules.unique_vertices == "global" and not rules.breadth_first:
            raise ArangoError(10, "uniqueVertices: 'global' is only supported, with order: bfs|weighted")
        return rules


class Traversal:
    """FOR v, e, p IN min..max DIRECTION start: one row per vertex reached within the depths."""

    def __init__(
        self, ctx: Context, variables: list[str], depth: Evaluate, start: Evaluate, steps: Neighbours, rules: Rules
    ) -> None:
        self._ctx, self._variables = ctx, variables
        self._depth, self._start, self._steps, self._rules = depth, start, steps, rules
        self.prune: Evaluate | None = None
        self.prune_variable = ""

    def node(self) -> Node:
        """The step of the plan."""
        return Node("TraversalNode", self._run, self._variables[0])

    def _run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        for row in rows:
            least, most = _depths(self._depth(row))
            start = start_id(self._ctx, self._start(row))
            if start is not None:
                yield from self._walk(row, start, least, most)

    def _walk(self, row: Row, start: str, least: int, most: int) -> Iterator[Row]:
        rules, frontier, reached = self._rules, deque([Trail(start)]), set()
        while frontier:
            trail = frontier.popleft() if rules.breadth_first else frontier.pop()
            if rules.unique_vertices == "global" and trail.vertex in reached:
                continue
            reached.add(trail.vertex)
            made = self._row(row, trail)
            pruned = self.prune is not None and truth(self.prune(made))
            if self.prune_variable:
                made[self.prune_variable] = pruned
            if trail.depth >= least:
                yield made
            if trail.depth < most and not pruned:
                onward = list(self._onward(trail))
                frontier.extend(onward if rules.breadth_first else reversed(onward))

    def _row(self, row: Row, trail: Trail) -> Row:
        names = self._variables
        made = {**row, names[0]: self._ctx.lookup(trail.vertex)}
        if len(names) > 1:
            made[names[1]] = trail.edge
        if len(names) > 2:
            made[names[2]] = {**trail.path(self._ctx), "weights": list(range(trail.depth + 1))}
        return made

    def _onward(self, trail: Trail) -> Iterator[Trail]:
        passed = trail.forwards()
        edges = {item.edge["_id"] for item in passed if item.edge} if self._rules.unique_edges == "path" else set()
        vertices = {item.vertex for item in passed} if self._rules.unique_vertices == "path" else set()
        for edge, far in self._steps.of(trail.vertex):
            if edge["_id"] not in edges and far not in vertices:
                yield Trail(far, edge, trail, trail.depth + 1)
