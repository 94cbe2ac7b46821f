"""The syntax tree of a query to its execution nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.access import AccessFinder, free_names
from harness.emulators.arangodb.aql.collect import Group, aggregate_of
from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.expressions import CURRENT, Expressions, Scope
from harness.emulators.arangodb.aql.modify import NEW, OLD, Change
from harness.emulators.arangodb.aql.neighbours import Neighbours, graph_collections
from harness.emulators.arangodb.aql.nodes import (
    Block,
    Calculation,
    EnumerateCollection,
    EnumerateList,
    Give,
    Keep,
    Node,
    Order,
    Slice,
)
from harness.emulators.arangodb.aql.operators import span
from harness.emulators.arangodb.aql.paths import PathSearch
from harness.emulators.arangodb.aql.traversal import Rules, Traversal
from harness.emulators.arangodb.errors import ArangoError

_PASSES_FILTERS = (ast.For, ast.Let, ast.Filter, ast.Sort, ast.Traverse, ast.Paths)


class Planner:
    """Plans one query. `rules` names the optimizer rules that had an effect; `blocks` has every block made."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.rules: dict[str, None] = {}
        self.blocks: list[Block] = []
        self._expressions = Expressions(ctx, self.subquery)

    def plan(self, statements: list[ast.Statement], *, full_count: bool = False) -> Block:
        """The plan of a whole query. With `full_count` its last LIMIT counts on."""
        block = self._block(statements, frozenset())
        limits = [node for node in block.nodes if isinstance(node, Slice)]
        if full_count and limits:
            limits[-1].counting = True
        return block

    def subquery(self, statements: list[ast.Statement], scope: Scope) -> Evaluate:
        """The results of a block as a function of the outer row."""
        return self._block(statements, scope).results

    def _block(self, statements: list[ast.Statement], outer: Scope) -> Block:
        builder = _BlockBuilder(self, statements, outer)
        block = Block(builder.nodes())
        self.blocks.append(block)
        return block

    def compile(self, node: ast.Expr, scope: Scope) -> Evaluate:
        """An expression over rows with the variables of `scope`."""
        return self._expressions.compile(node, scope)


class _BlockBuilder:
    """Plans the statements of one block, keeping track of what is in scope."""

    def __init__(self, planner: Planner, statements: list[ast.Statement], outer: Scope) -> None:
        self._planner, self._ctx = planner, planner.ctx
        self._statements, self._outer = statements, outer
        self._scope = outer
        self._block_variables: list[str] = []
        self._loop_variables: list[str] | None = None

    def nodes(self) -> list[Node]:
        return [_BUILDERS[type(item)](self, item, at) for at, item in enumerate(self._statements)]

    def _compile(self, node: ast.Expr) -> Evaluate:
        return self._planner.compile(node, self._scope)

    def _declare(self, *names: str) -> None:
        for name in names:
            if name in self._scope and name not in (OLD, NEW):
                raise ArangoError(1511, f"variable '{name}' is assigned multiple times")
            self._scope |= {name}
            self._block_variables.append(name)
            if self._loop_variables is not None:
                self._loop_variables.append(name)

    def _options(self, node: ast.Expr | None) -> dict[str, Any]:
        value = self._planner.compile(node, frozenset())({}) if node is not None else {}
        return value if isinstance(value, dict) else {}

    def _begin_loop(self) -> None:
        if self._loop_variables is None:
            self._loop_variables = []

    # -- loops

    def for_(self, item: ast.For, at: int) -> Node:
        source, ctx = item.source, self._ctx
        node: Node
        if not isinstance(source, ast.Name | ast.DataSource) or source.name in self._scope:
            node = EnumerateList(ctx, item.variable, self._items(source))
        else:
            collection = ctx.reading(source.name)
            finder = AccessFinder(collection, item.variable, self._scope, self._compile)
            found = finder.find(self._conditions(at)) if not self._forbids_index(item) else []
            if found:
                self._planner.rules["use-indexes"] = None
            node = EnumerateCollection(ctx, item.variable, collection, found)
        self._begin_loop()
        self._declare(item.variable)
        return node

    def _items(self, source: ast.Expr) -> Evaluate:
        """The elements of a list; a range is counted through, not made."""
        if isinstance(source, ast.Binary) and source.op == "..":
            low, high = self._compile(source.left), self._compile(source.right)
            return lambda row: span(low(row), high(row))
        return self._compile(source)

    def _forbids_index(self, item: ast.For) -> bool:
        return bool(self._options(item.options).get("disableIndex"))

    def _conditions(self, at: int) -> list[ast.Expr]:
        """The conditions of later FILTERs that can be applied at once."""
        found = []
        for statement in self._statements[at + 1 :]:
            if not isinstance(statement, _PASSES_FILTERS):
                break
            if isinstance(statement, ast.Filter):
                found.append(statement.condition)
        return found

    def _neighbours(self, source: ast.GraphSource, direction: str, options: dict[str, Any]) -> Neighbours:
        if source.graph is not None:
            name = self._planner.compile(source.graph, frozenset())({})
            return Neighbours(self._ctx, graph_collections(self._ctx, name, direction), options)
        pairs = [(own, item.name) for own, item in source.collections]
        return Neighbours(self._ctx, pairs, options)

    def traverse(self, item: ast.Traverse, _at: int) -> Node:
        options = self._options(item.options)
        depth = self._compile(item.depth or ast.Literal(1))
        steps = self._neighbours(item.source, item.direction, options)
        node = Traversal(self._ctx, item.variables, depth, self._compile(item.start), steps, Rules.of(options))
        self._begin_loop()
        self._declare(*item.variables)
        if item.prune is not None:
            node.prune = self._compile(item.prune)
        if item.prune_variable:
            node.prune_variable = item.prune_variable
            self._declare(item.prune_variable)
        return node

    def paths(self, item: ast.Paths, _at: int) -> Node:
        steps = self._neighbours(item.source, item.direction, self._options(item.options))
        ends = (self._compile(item.start), self._compile(item.target))
        node = PathSearch(self._ctx, item.kind, item.variables, ends, steps)
        if item.depth is not None:
            node.depth = self._compile(item.depth)
        self._begin_loop()
        self._declare(*item.variables)
        return node

    # -- plain statements

    def let(self, item: ast.Let, _at: int) -> Node:
        node = Calculation(item.variable, self._compile(item.value), isinstance(item.value, ast.Subquery))
        self._declare(item.variable)
        return node

    def filter(self, item: ast.Filter, at: int) -> Node:
        last = not any(isinstance(other, ast.Filter) for other in self._statements[at + 1 :])
        if last and "filter-ignores-last" in self._ctx.trx.defects:
            return Keep(self._ctx, lambda _row: True)
        return Keep(self._ctx, self._compile(item.condition))

    def sort(self, item: ast.Sort, _at: int) -> Node:
        keys: list[tuple[Evaluate, str | Evaluate]] = []
        for key, direction in item.keys:
            word = direction if isinstance(direction, str) else self._compile(direction)
            keys.append((self._compile(key), word))
        return Order(self._ctx, keys)

    def limit(self, item: ast.Limit, _at: int) -> Node:
        for part in (item.offset, item.count):
            if any(name in self._scope for name in free_names(part)):
                raise ArangoError(1501, "unexpected non-constant value used in LIMIT")
        return Slice(self._ctx, self._compile(item.offset) if item.offset else None, self._compile(item.count))

    def return_(self, item: ast.Return, _at: int) -> Node:
        return Give(self._ctx, self._compile(item.value), item.distinct)

    def collect(self, item: ast.Collect, _at: int) -> Node:
        groups = [(name, self._compile(value)) for name, value in item.groups]
        aggregates = []
        for name, call in item.aggregates:
            if len(call.args) > 1:
                raise ArangoError(1541, f"invalid number of arguments for function '{call.name}()'")
            argument = self._compile(call.args[0]) if call.args else lambda _row: None
            aggregates.append((name, aggregate_of(call.name), argument))
        into = (item.into, self._gather(item)) if item.into else None
        node = Group(self._ctx, groups, aggregates, into, item.count_into)
        self._scope, self._block_variables, self._loop_variables = self._outer, [], None
        made = [*(name for name, _ in item.groups), *(name for name, _ in item.aggregates)]
        self._declare(*made, *filter(None, (item.into, item.count_into)))
        return node

    def _gather(self, item: ast.Collect) -> Evaluate:
        if item.projection is not None:
            return self._compile(item.projection)
        names = item.keep
        if names is None:
            names = self._block_variables if self._loop_variables is None else self._loop_variables
        for name in names:
            if name not in self._scope:
                raise ArangoError(1512, f"unknown variable '{name}'")
        kept = list(dict.fromkeys(names))
        return lambda row: {name: row[name] for name in kept}

    # -- modifications

    def modify(self, item: ast.Modify, _at: int) -> Node:
        find = self._finder(item) if item.search is not None else None
        target = self._ctx.collection(item.collection.name, write=True)
        options = self._options(item.options)
        node = Change(self._ctx, item.kind, target, lambda _row: options)
        node.find = find
        if item.search is not None:
            node.insert = self._compile(item.insert or ast.Literal(None))
            self._scope |= {OLD}
        else:
            node.document = self._compile(item.document)
        if item.changes is not None:
            node.changes = self._compile(item.changes)
        self._declare(*({OLD, NEW} - ({OLD} if item.kind == "INSERT" and not options else set())))
        return node

    def _finder(self, item: ast.Modify) -> Callable[[Row], Any]:
        """How UPSERT finds the document its search object describes: by index where one fits."""
        searched = item.search
        if isinstance(searched, ast.Filtering):
            return self._first_of(item, CURRENT, [ast.Filter(searched.condition)])
        if isinstance(searched, ast.Literal) and isinstance(searched.value, dict):
            searched = ast.ObjectOf([(ast.Literal(k), ast.Literal(v)) for k, v in searched.value.items()])
        if not isinstance(searched, ast.ObjectOf):
            raise ArangoError(1501, "expecting object literal with literal attribute names in UPSERT")
        variable = "$UPSERT"
        name = ast.Name(variable, 0)
        tests: list[ast.Statement] = []
        for key, value in searched.items:
            path = ast.Attribute(name, str(key.value) if isinstance(key, ast.Literal) else "")
            tests.extend(ast.Filter(test) for test in _nested(path, value))
        return self._first_of(item, variable, tests)

    def _first_of(self, item: ast.Modify, variable: str, tests: list[ast.Statement]) -> Callable[[Row], Any]:
        """The first document of the target that passes the tests, or None."""
        source, given = ast.DataSource(item.collection.name), ast.Return(ast.Name(variable, 0))
        statements = [ast.For(variable, source), *tests, ast.Limit(None, ast.Literal(1)), given]
        self._ctx.written.pop(item.collection.name, None)
        found = self._planner.subquery(statements, self._scope)
        return lambda row: next(iter(found(row)), None)


def _nested(path: ast.Expr, value: ast.Expr) -> list[ast.Expr]:
    """An object literal in a search means its attributes, one by one."""
    if isinstance(value, ast.ObjectOf) and value.items:
        return [
            test
            for key, inner in value.items
            for test in _nested(ast.Attribute(path, str(key.value) if isinstance(key, ast.Literal) else ""), inner)
        ]
    return [ast.Binary("==", path, value)]


_BUILDERS: dict[type[ast.Statement], Callable[[_BlockBuilder, Any, int], Node]] = {
    ast.For: _BlockBuilder.for_,
    ast.Traverse: _BlockBuilder.traverse,
    ast.Paths: _BlockBuilder.paths,
    ast.Let: _BlockBuilder.let,
    ast.Filter: _BlockBuilder.filter,
    ast.Sort: _BlockBuilder.sort,
    ast.Limit: _BlockBuilder.limit,
    ast.Return: _BlockBuilder.return_,
    ast.Collect: _BlockBuilder.collect,
    ast.Modify: _BlockBuilder.modify,
}
