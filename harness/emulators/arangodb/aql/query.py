"""Running, parsing and explaining one query."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.context import Context
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.parser import parse
from harness.emulators.arangodb.aql.planner import Planner

_COUNTERS = (
    "writesExecuted", "writesIgnored", "documentLookups", "seeks", "scannedFull", "scannedIndex", "cursorsCreated",
    "cursorsRearmed", "cacheHits", "cacheMisses", "filtered", "httpRequests",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """A query's rows and the `extra` object sent with them."""

    rows: list[Any]
    extra: dict[str, Any]
    writes: bool


def execute(ctx: Context, text: str, bind: dict[str, Any], *, full_count: bool = False, profile: int = 0) -> Answer:
    """Run a query to its end inside the context's transaction. Raises ArangoError; then the writes must be undone."""
    began = time.perf_counter()
    statements = parse(text, bind).query()
    parsed = time.perf_counter()
    planner = Planner(ctx)
    block = planner.plan(statements, full_count=full_count)
    planned = time.perf_counter()
    rows = block.results({})
    ctx.check()
    done = time.perf_counter()
    stats: dict[str, Any] = {name: ctx.stats.get(name, 0) for name in _COUNTERS}
    if "fullCount" in ctx.stats:
        stats["fullCount"] = ctx.stats["fullCount"]
    stats |= {"searchParallelism": 1, "intermediateCommits": 0, "peakMemoryUsage": ctx.peak_memory}
    extra: dict[str, Any] = {"warnings": ctx.warnings, "stats": {**stats, "executionTime": done - began}}
    if profile:
        phases = {"initializing": 0.0, "parsing": parsed - began, "optimizing ast": 0.0, "loading collections": 0.0}
        phases |= {"instantiating plan": planned - parsed, "optimizing plan": 0.0, "instantiating executors": 0.0}
        extra["profile"] = {**phases, "executing": done - planned, "finalizing": 0.0}
    if profile > 1:
        extra["plan"] = describe_plan(ctx, planner, block.nodes)
    return Answer(rows, extra, bool(ctx.written))


def inspect(text: str) -> dict[str, Any]:
    """What POST /_api/query answers about a query's text. Raises ArangoError 1501."""
    parser = parse(text, None)
    statements = parser.query()
    names: dict[str, None] = {}
    _data_sources(statements, frozenset(), names)
    kinds = [{"type": type(item).__name__.lower()} for item in statements]
    bind = [name for name in parser.used if name]
    return {"parsed": True, "collections": list(names), "bindVars": bind, "ast": [{"type": "root", "subNodes": kinds}]}


def _data_sources(node: Any, scope: frozenset[str], names: dict[str, None]) -> None:
    for item in node if isinstance(node, list) else []:
        if isinstance(item, ast.For) and isinstance(item.source, ast.Name) and item.source.name not in scope:
            names[item.source.name] = None
        if isinstance(item, ast.For) and isinstance(item.source, ast.DataSource):
            names[item.source.name] = None
        if isinstance(item, ast.Modify) and isinstance(item.collection, ast.DataSource):
            names[item.collection.name] = None
        if isinstance(item, ast.Traverse | ast.Paths):
            names.update((source.name, None) for _, source in item.source.collections if hasattr(source, "name"))
        if isinstance(item, ast.Let):
            scope |= {item.variable}
            if isinstance(item.value, ast.Subquery):
                _data_sources(item.value.statements, scope, names)


def explain(ctx: Context, text: str, bind: dict[str, Any]) -> dict[str, Any]:
    """The plan a query would run with. Raises ArangoError as `execute`."""
    planner = Planner(ctx)
    block = planner.plan(parse(text, bind).query())
    return describe_plan(ctx, planner, block.nodes)


def describe_plan(ctx: Context, planner: Planner, nodes: list[Node]) -> dict[str, Any]:
    """A plan in the server's form; estimates are crude."""
    items: list[dict[str, Any]] = [{"type": "SingletonNode", "dependencies": [], "id": 1}]
    estimate = 1
    for number, node in enumerate(nodes, 2):
        estimate = estimate * 10 if "Enumerate" in node.kind else estimate
        facts = {"dependencies": [number - 1], "id": number, "estimatedCost": number, "estimatedNrItems": estimate}
        items.append({"type": node.kind, **facts, **node.describe()})
    used = [(name, "read") for name in ctx.read] + [(name, "write") for name in ctx.written]
    return {
        "nodes": items,
        "rules": list(planner.rules),
        "collections": [{"name": name, "type": kind} for name, kind in dict(used).items()],
        "variables": [{"id": at, "name": node.makes} for at, node in enumerate(nodes) if node.makes],
        "estimatedCost": len(items),
        "estimatedNrItems": estimate,
        "isModificationQuery": bool(ctx.written),
    }
