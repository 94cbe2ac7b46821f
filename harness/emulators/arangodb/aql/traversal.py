"""Graph traversals: depth-first, breadth-first and by weight."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.neighbours import Neighbours, depths, start_id
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.values import truth
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.indexes import Document


@dataclass(frozen=True, slots=True)
class Trail:
    """A path so far: the last vertex, the edge that led to it, the trail before, depth and cost."""

    vertex: str
    edge: Document | None = None
    before: Trail | None = None
    depth: int = 0
    cost: float = 0

    def backwards(self) -> Iterator[Trail]:
        """This trail and all before it, last first."""
        trail: Trail | None = self
        while trail is not None:
            yield trail
            trail = trail.before


@dataclass(frozen=True, slots=True)
class Rules:
    """How a traversal walks; `order` is dfs, bfs or weighted."""

    order: str
    unique_vertices: str
    unique_edges: str

    @classmethod
    def of(cls, options: dict[str, Any]) -> Rules:
        """From the OPTIONS object. Raises ArangoError 10 for a combination the server refuses."""
        order = options.get("order") or ("bfs" if options.get("bfs") else "dfs")
        rules = cls(order, options.get("uniqueVertices", "none"), options.get("uniqueEdges", "path"))
        if rules.unique_vertices == "global" and order not in ("bfs", "weighted"):
            raise ArangoError(10, "uniqueVertices: 'global' is only supported, with order: bfs|weighted")
        return rules


class Traversal(Node):
    """FOR v, e, p IN min..max DIRECTION start."""

    kind = "TraversalNode"

    def __init__(
        self, ctx: Context, variables: list[str], depth: Evaluate, start: Evaluate, steps: Neighbours, rules: Rules
    ) -> None:
        self.makes = variables[0]
        self._ctx, self._variables = ctx, variables
        self._depth, self._start, self._steps, self._rules = depth, start, steps, rules
        self.prune: Evaluate | None = None
        self.prune_variable = ""

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        """One row per vertex reached within the depths."""
        for row in rows:
            least, most = depths(self._depth(row))
            start = start_id(self._ctx, self._start(row))
            if start is None or self._ctx.lookup(start) is None:
                continue
            for trail in self._walk(row, start, most):
                if trail[0].depth >= least:
                    yield trail[1]

    def _walk(self, row: Row, start: str, most: int) -> Iterator[tuple[Trail, Row]]:
        frontier = _Frontier(self._rules.order)
        frontier.put(Trail(start))
        reached = set()
        while frontier:
            trail = frontier.get()
            if self._rules.unique_vertices == "global":
                if trail.vertex in reached:
                    continue
                reached.add(trail.vertex)
            made = self._row(row, trail)
            yield trail, made
            if trail.depth < most and not self._pruned(made):
                frontier.extend(list(self._onward(trail)))

    def _row(self, row: Row, trail: Trail) -> Row:
        names = self._variables
        made = {**row, names[0]: self._ctx.lookup(trail.vertex)}
        if len(names) > 1:
            made[names[1]] = trail.edge
        if len(names) > 2:
            made[names[2]] = self._path(trail)
        if self.prune is not None and self.prune_variable:
            made[self.prune_variable] = truth(self.prune(made))
        return made

    def _path(self, trail: Trail) -> dict[str, Any]:
        trails = list(trail.backwards())[::-1]
        return {
            "vertices": [self._ctx.lookup(item.vertex) for item in trails],
            "edges": [item.edge for item in trails[1:]],
            "weights": [item.cost for item in trails],
        }

    def _pruned(self, made: Row) -> bool:
        if self.prune is None:
            return False
        return made[self.prune_variable] if self.prune_variable else truth(self.prune(made))

    def _onward(self, trail: Trail) -> Iterator[Trail]:
        rules = self._rules
        edges = {item.edge["_id"] for item in trail.backwards() if item.edge} if rules.unique_edges == "path" else ()
        path = rules.unique_vertices == "path"
        vertices = {item.vertex for item in trail.backwards()} if path else ()
        for edge, far in self._steps.of(trail.vertex):
            if edge["_id"] in edges or far in vertices:
                continue
            cost = self._steps.weight(edge) if rules.order == "weighted" else 1
            yield Trail(far, edge, trail, trail.depth + 1, trail.cost + cost)


class _Frontier:
    """Trails still to visit: a stack (dfs), a queue (bfs) or ordered by cost (weighted)."""

    def __init__(self, order: str) -> None:
        self._order = order
        self._heap: list[tuple[float, int, Trail]] = []
        self._number = count()

    def __bool__(self) -> bool:
        return bool(self._heap)

    def put(self, trail: Trail) -> None:
        number = next(self._number)
        if self._order == "dfs":
            self._heap.append((0, number, trail))
        else:
            heapq.heappush(self._heap, (trail.cost if self._order == "weighted" else trail.depth, number, trail))

    def extend(self, trails: list[Trail]) -> None:
        for trail in reversed(trails) if self._order == "dfs" else trails:
            self.put(trail)

    def get(self) -> Trail:
        return (self._heap.pop() if self._order == "dfs" else heapq.heappop(self._heap))[2]
