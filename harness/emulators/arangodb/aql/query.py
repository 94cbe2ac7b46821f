"""Running, parsing and explaining one query."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.context import Context
from harness.emulators.arangodb.aql.nodes import results
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


def execute(ctx: Context, text: str, bind: dict[str, Any], *, full_count: bool = False) -> Answer:
    """Run a query to its end inside the context's transaction. Raises ArangoError; then the writes must be undone."""
    nodes = Planner(ctx).plan(parse(text, bind).query(), full_count=full_count)
    began = time.perf_counter()
    rows = results(nodes, {})
    ctx.check()
    stats: dict[str, Any] = {**dict.fromkeys(_COUNTERS, 0), **ctx.stats, "peakMemoryUsage": ctx.memory}
    stats |= {"searchParallelism": 1, "intermediateCommits": 0, "executionTime": time.perf_counter() - began}
    return Answer(rows, {"warnings": ctx.warnings, "stats": stats})


def inspect(text: str) -> dict[str, Any]:
    """What POST /_api/query answers about a query's text. Raises ArangoError 1501."""
    parser = parse(text, None)
    statements = parser.query()
    names: dict[str, None] = {}
    _data_sources(statements, frozenset(), names)
    kinds = [{"type": type(item).__name__.lower()} for item in statements]
    tree = [{"type": "root", "subNodes": kinds}]
    return {"parsed": True, "collections": list(names), "bindVars": list(parser.used), "ast": tree}


def _data_sources(statements: list[ast.Statement], scope: frozenset[str], names: dict[str, None]) -> None:
    for item in statements:
        if isinstance(item, ast.For) and isinstance(item.source, ast.Name | ast.DataSource):
            names.update({item.source.name: None} if item.source.name not in scope else {})
        if isinstance(item, ast.Modify):
            names[item.collection.name] = None
        if isinstance(item, ast.Walk):
            names.update((source.name, None) for _, source in item.edges)
        if isinstance(item, ast.Let):
            scope |= {item.variable}
            if isinstance(item.value, ast.Subquery):
                _data_sources(item.value.statements, scope, names)


def explain(ctx: Context, text: str, bind: dict[str, Any]) -> dict[str, Any]:
    """The plan a query would run with, in the server's form; estimates are crude. Raises ArangoError as `execute`."""
    items: list[dict[str, Any]] = [{"type": "SingletonNode", "dependencies": [], "id": 1}]
    nodes = Planner(ctx).plan(parse(text, bind).query())
    estimate = 1
    for number, node in enumerate(nodes, 2):
        estimate = estimate * 10 if "Enumerate" in node.kind else estimate
        facts = {"dependencies": [number - 1], "id": number, "estimatedCost": number, "estimatedNrItems": estimate}
        items.append({**facts, **node.describe()})
    used = {**dict.fromkeys(ctx.read, "read"), **dict.fromkeys(ctx.written, "write")}
    return {
        "nodes": items,
        "rules": ["use-indexes"] if any(node.kind == "IndexNode" for node in nodes) else [],
        "collections": [{"name": name, "type": kind} for name, kind in used.items()],
        "variables": [{"id": at, "name": node.makes} for at, node in enumerate(nodes) if node.makes],
        "estimatedCost": len(items),
        "estimatedNrItems": estimate,
        "isModificationQuery": bool(ctx.written),
    }
