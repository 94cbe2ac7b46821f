"""SHORTEST_PATH, K_SHORTEST_PATHS, ALL_SHORTEST_PATHS and K_PATHS."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.neighbours import Neighbours, depths, start_id
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.traversal import Trail


class PathSearch(Node):
    """FOR over the paths between two vertices."""

    def __init__(
        self, ctx: Context, kind: str, variables: list[str], ends: tuple[Evaluate, Evaluate], steps: Neighbours
    ) -> None:
        self.kind = "ShortestPathNode" if kind == "SHORTEST_PATH" else "EnumeratePathsNode"
        self.makes = variables[0]
        self._ctx, self._kind, self._variables = ctx, kind, variables
        self._ends, self._steps = ends, steps
        self.depth: Evaluate = lambda _row: 1

    def run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        """Rows per vertex of the shortest path, or per path."""
        for row in rows:
            start, target = (start_id(self._ctx, end(row)) for end in self._ends)
            if start and target and self._ctx.lookup(start) and self._ctx.lookup(target):
                yield from self._between(row, start, target)

    def _between(self, row: Row, start: str, target: str) -> Iterator[Row]:
        if self._kind == "K_PATHS":
            low, high = depths(self.depth(row))
            for trail in self._simple(start, target, low, high):
                path = self._path(trail)
                yield {**row, self.makes: {"edges": path["edges"], "vertices": path["vertices"]}}
            return
        found = self._best(start, target)
        if self._kind == "SHORTEST_PATH":
            for trail in list(found_trail.backwards())[::-1] if (found_trail := next(found, None)) else ():
                names = [self._ctx.lookup(trail.vertex), trail.edge]
                yield {**row, **dict(zip(self._variables, names, strict=False))}
            return
        first = None
        for trail in found:
            first = trail if first is None else first
            if self._kind == "ALL_SHORTEST_PATHS" and trail.cost > first.cost:
                return
            yield {**row, self.makes: self._path(trail)}

    def _path(self, trail: Trail) -> dict[str, Any]:
        trails = list(trail.backwards())[::-1]
        vertices = [self._ctx.lookup(item.vertex) for item in trails]
        edges = [item.edge for item in trails[1:]]
        return {"edges": edges, "vertices": vertices, "weight": trail.cost}

    def _distances(self, target: str) -> dict[str, float]:
        """The cost from every vertex that reaches the target."""
        costs: dict[str, float] = {}
        heap: list[tuple[float, str]] = [(0, target)]
        while heap:
            cost, vertex = heapq.heappop(heap)
            if vertex in costs:
                continue
            costs[vertex] = cost
            for edge, before in self._steps.of(vertex, backwards=True):
                if before not in costs:
                    heapq.heappush(heap, (cost + self._steps.weight(edge), before))
        return costs

    def _best(self, start: str, target: str) -> Iterator[Trail]:
        """Simple paths, cheapest first: best-first search led by the exact rest cost."""
        rest, number = self._distances(target), count()
        if start not in rest:
            return
        heap = [(rest[start], next(number), Trail(start))]
        while heap:
            _, _, trail = heapq.heappop(heap)
            if trail.vertex == target:
                yield trail
                continue
            visited = {item.vertex for item in trail.backwards()}
            for edge, far in self._steps.of(trail.vertex):
                if far in rest and far not in visited:
                    onward = Trail(far, edge, trail, trail.depth + 1, trail.cost + self._steps.weight(edge))
                    heapq.heappush(heap, (onward.cost + rest[far], next(number), onward))

    def _simple(self, start: str, target: str, low: int, high: int) -> Iterator[Trail]:
        stack = [Trail(start)]
        while stack:
            trail = stack.pop()
            if trail.vertex == target and trail.depth >= low:
                yield trail
            if trail.depth >= high or (trail.vertex == target and trail.depth):
                continue
            visited = {item.vertex for item in trail.backwards()}
            onward = [(edge, far) for edge, far in self._steps.of(trail.vertex) if far not in visited]
            stack.extend(Trail(far, edge, trail, trail.depth + 1) for edge, far in reversed(onward))
