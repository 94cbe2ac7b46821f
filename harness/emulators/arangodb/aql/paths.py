"""SHORTEST_PATH, K_SHORTEST_PATHS and ALL_SHORTEST_PATHS (AQL manual: "Shortest paths")."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import chain, count, takewhile

from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.walk import Neighbours, Trail, start_id


class PathSearch:
    """FOR over the vertices of the shortest path, or over several paths, between two vertices."""

    def __init__(
        self, ctx: Context, kind: str, variables: list[str], ends: tuple[Evaluate, Evaluate], steps: Neighbours
    ) -> None:
        self._ctx, self._kind, self._variables = ctx, kind, variables
        self._ends, self._steps = ends, steps

    def node(self) -> Node:
        """The step of the plan."""
        kind = "ShortestPathNode" if self._kind == "SHORTEST_PATH" else "EnumeratePathsNode"
        return Node(kind, self._run, self._variables[0])

    def _run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        for row in rows:
            start, target = (start_id(self._ctx, end(row)) for end in self._ends)
            if start and target:
                yield from self._between(row, start, target)

    def _between(self, row: Row, start: str, target: str) -> Iterator[Row]:
        found = self._best(start, target)
        first = next(found, None)
        if first is None:
            return
        if self._kind == "SHORTEST_PATH":
            for trail in first.forwards():
                values = (self._ctx.lookup(trail.vertex), trail.edge)
                yield {**row, **dict(zip(self._variables, values, strict=False))}
            return
        if self._kind == "ALL_SHORTEST_PATHS":
            found = takewhile(lambda trail: trail.cost <= first.cost, found)
        for trail in chain([first], found):
            yield {**row, self._variables[0]: {**trail.path(self._ctx), "weight": trail.cost}}

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
        heap = [(rest[start], next(number), Trail(start))] if start in rest else []
        while heap:
            _, _, trail = heapq.heappop(heap)
            if trail.vertex == target:
                yield trail
                continue
            visited = {item.vertex for item in trail.forwards()}
            for edge, far in self._steps.of(trail.vertex):
                if far in rest and far not in visited:
                    onward = Trail(far, edge, trail, trail.depth + 1, trail.cost + self._steps.weight(edge))
                    heapq.heappush(heap, (onward.cost + rest[far], next(number), onward))
