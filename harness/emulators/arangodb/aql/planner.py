"""The syntax tree of a query to its execution nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.emulators.arangodb.aql import ast, nodes
from harness.emulators.arangodb.aql.access import AccessFinder, free_names
from harness.emulators.arangodb.aql.collect import Grouping, aggregate_of, group
from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.expressions import Expressions, Scope
from harness.emulators.arangodb.aql.modify import NEW, OLD, Change, Parts
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.operators import span
from harness.emulators.arangodb.aql.paths import PathSearch
from harness.emulators.arangodb.aql.walk import Neighbours, Rules, Traversal
from harness.emulators.arangodb.errors import ArangoError

_PASSES_FILTERS = (ast.For, ast.Let, ast.Filter, ast.Sort, ast.Walk)
_NOTHING = frozenset[str]()


class Planner:
    """Plans one query."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._expressions = Expressions(ctx, self.subquery)

    def plan(self, statements: list[ast.Statement], *, full_count: bool = False) -> list[Node]:
        """The plan of a whole query. With `full_count` its last LIMIT counts on."""
        limits = [at for at, item in enumerate(statements) if isinstance(item, ast.Limit)] if full_count else []
        return _BlockBuilder(self, statements, _NOTHING, counting_at=max(limits, default=-1)).nodes()

    def subquery(self, statements: list[ast.Statement], outer: Scope) -> Evaluate:
        """The results of a subquery that sees the variables of `outer`, as a function of their row."""
        made = _BlockBuilder(self, statements, outer).nodes()
        return lambda row: nodes.results(made, row)

    def compile(self, node: ast.Expr, scope: Scope) -> Evaluate:
        """An expression over rows with the variables of `scope`."""
        return self._expressions.compile(node, scope)

    def constant(self, node: ast.Expr) -> Any:
        """The value of an expression without variables."""
        return self.compile(node, _NOTHING)({})


class _BlockBuilder:
    """Plans the statements of one block, keeping track of what is in scope."""

    def __init__(self, planner: Planner, statements: list[ast.Statement], outer: Scope, counting_at: int = -1) -> None:
        self._counting_at = counting_at
        self._planner, self._ctx = planner, planner.ctx
        self._statements, self._outer, self._scope = statements, outer, outer
        self._since_loop: list[str] = []
        """What INTO collects: the variables made since the first FOR, or all where there is none."""
        self._in_loop = False

    def nodes(self) -> list[Node]:
        return [_BUILDERS[type(item)](self, item, at) for at, item in enumerate(self._statements)]

    def _compile(self, node: ast.Expr) -> Evaluate:
        return self._planner.compile(node, self._scope)

    def _declare(self, *names: str) -> None:
        for name in names:
            if name in self._scope and name not in (OLD, NEW):
                raise ArangoError(1511, f"variable '{name}' is assigned multiple times")
            self._scope |= {name}
            self._since_loop.append(name)

    def _declare_loop(self, *names: str) -> None:
        if not self._in_loop:
            self._in_loop, self._since_loop = True, []
        self._declare(*names)

    def _options(self, node: ast.Expr | None) -> dict[str, Any]:
        value = self._planner.constant(node) if node is not None else {}
        return value if isinstance(value, dict) else {}

    # -- loops

    def for_(self, item: ast.For, at: int) -> Node:
        source, ctx = item.source, self._ctx
        if not isinstance(source, ast.Name | ast.DataSource) or source.name in self._scope:
            node = nodes.enumerate_list(ctx, item.variable, self._items(source))
        else:
            collection = ctx.reading(source.name)
            finder = AccessFinder(collection, item.variable, self._scope, self._compile)
            forbidden = self._options(item.options).get("disableIndex")
            found = [] if forbidden else finder.find(self._conditions(at))
            node = nodes.enumerate_collection(ctx, item.variable, collection, found)
        self._declare_loop(item.variable)
        return node

    def _items(self, source: ast.Expr) -> Evaluate:
        """The elements of a list; a range is counted through, not made."""
        if isinstance(source, ast.Binary) and source.op == "..":
            low, high = self._compile(source.left), self._compile(source.right)
            return lambda row: span(low(row), high(row))
        return self._compile(source)

    def _conditions(self, at: int) -> list[ast.Expr]:
        """The conditions of later FILTERs that can be applied at once."""
        found = []
        for statement in self._statements[at + 1 :]:
            if not isinstance(statement, _PASSES_FILTERS):
                break
            if isinstance(statement, ast.Filter):
                found.append(statement.condition)
        return found

    def walk(self, item: ast.Walk, _at: int) -> Node:
        options = self._options(item.options)
        steps = Neighbours(self._ctx, self._edges(item), options)
        start = self._compile(item.start)
        if item.target is not None:
            ends = (start, self._compile(item.target))
            self._declare_loop(*item.variables)
            return PathSearch(self._ctx, item.kind, item.variables, ends, steps).node()
        walk = Traversal(self._ctx, item.variables, self._compile(item.depth), start, steps, Rules.of(options))
        self._declare_loop(*item.variables)
        if item.prune is not None:
            walk.prune, walk.prune_variable = self._compile(item.prune), item.prune_variable
        if item.prune_variable:
            self._declare(item.prune_variable)
        return walk.node()

    def _edges(self, item: ast.Walk) -> list[tuple[str, str]]:
        """The edge collections with their directions; those of a named graph need its vertices to be readable."""
        if item.graph is None:
            return [(own, source.name) for own, source in item.edges]
        definitions = self._ctx.graph(str(self._planner.constant(item.graph)))["edgeDefinitions"]
        for definition in definitions:
            for vertices in (*definition["from"], *definition["to"]):
                self._ctx.reading(vertices)
        return [(item.direction, definition["collection"]) for definition in definitions]

    # -- plain statements

    def let(self, item: ast.Let, _at: int) -> Node:
        node = nodes.calculate(item.variable, self._compile(item.value), isinstance(item.value, ast.Subquery))
        self._declare(item.variable)
        return node

    def filter(self, item: ast.Filter, at: int) -> Node:
        last = not any(isinstance(other, ast.Filter) for other in self._statements[at + 1 :])
        if last and "filter-ignores-last" in self._ctx.trx.defects:
            return nodes.keep(self._ctx, lambda _row: True)
        return nodes.keep(self._ctx, self._compile(item.condition))

    def sort(self, item: ast.Sort, _at: int) -> Node:
        return nodes.order(self._ctx, [(self._compile(key), falls) for key, falls in item.keys])

    def limit(self, item: ast.Limit, at: int) -> Node:
        if any(name in self._scope for name in free_names(item)):
            raise ArangoError(1501, "unexpected non-constant value used in LIMIT")
        return nodes.window(self._ctx, self._compile(item.offset), self._compile(item.count), at == self._counting_at)

    def return_(self, item: ast.Return, _at: int) -> Node:
        return nodes.give(self._compile(item.value), item.distinct)

    def collect(self, item: ast.Collect, _at: int) -> Node:
        groups = [(name, self._compile(value)) for name, value in item.groups]
        aggregates = []
        for name, call in item.aggregates:
            if len(call.args) > 1:
                raise ArangoError(1541, f"invalid number of arguments for function '{call.name}()'")
            argument = self._compile(call.args[0] if call.args else ast.Literal(None))
            aggregates.append((name, aggregate_of(call.name), argument))
        into = (item.into, self._gather(item)) if item.into else None
        self._scope, self._since_loop, self._in_loop = self._outer, [], False
        made = [name for name, _ in (*item.groups, *item.aggregates)]
        self._declare(*made, *filter(None, (item.into, item.count_into)))
        return group(self._ctx, Grouping(groups, aggregates, into, item.count_into))

    def _gather(self, item: ast.Collect) -> Evaluate:
        if item.projection is not None:
            return self._compile(item.projection)
        kept = list(dict.fromkeys(self._since_loop if item.keep is None else item.keep))
        for name in kept:
            if name not in self._scope:
                raise ArangoError(1512, f"unknown variable '{name}'")
        return lambda row: {name: row[name] for name in kept}

    # -- modifications

    def modify(self, item: ast.Modify, _at: int) -> Node:
        find = self._finder(item) if item.search is not None else None
        target = self._ctx.collection(item.collection.name, write=True)
        options = self._options(item.options)
        document = self._compile(ast.Literal(None) if find else item.document)
        insert = self._compile(item.insert or ast.Literal(None))
        self._scope |= {OLD} if find else set()
        changes = self._compile(item.changes) if item.changes is not None else document
        self._declare(*((NEW,) if item.kind == "INSERT" and not options else (OLD, NEW)))
        return Change(self._ctx, item.kind, target, options, Parts(document, changes, find, insert)).node()

    def _finder(self, item: ast.Modify) -> Callable[[Row], Any]:
        """How UPSERT finds the document its search object describes: the first one, by index where one fits."""
        searched = item.search
        if isinstance(searched, ast.Literal) and isinstance(searched.value, dict):
            searched = ast.ObjectOf([(ast.Literal(k), ast.Literal(v)) for k, v in searched.value.items()])
        if not isinstance(searched, ast.ObjectOf):
            raise ArangoError(1501, "expecting object literal with literal attribute names in UPSERT")
        variable = ast.Name("$UPSERT")
        tests = [ast.Filter(test) for test in _nested(variable, searched)]
        source = ast.For(variable.name, ast.DataSource(item.collection.name))
        statements = [source, *tests, ast.Limit(ast.Literal(0), ast.Literal(1)), ast.Return(variable)]
        self._ctx.written.pop(item.collection.name, None)
        found = self._planner.subquery(statements, self._scope)
        return lambda row: next(iter(found(row)), None)


def _nested(path: ast.Expr, value: ast.Expr) -> list[ast.Expr]:
    """An object literal in a search means its attributes, one by one."""
    if isinstance(value, ast.ObjectOf) and value.items:
        return [test for key, inner in value.items for test in _nested(ast.Element(path, key), inner)]
    return [ast.Binary("==", path, value)]


_BUILDERS: dict[type[ast.Statement], Callable[[_BlockBuilder, Any, int], Node]] = {
    ast.For: _BlockBuilder.for_,
    ast.Walk: _BlockBuilder.walk,
    ast.Let: _BlockBuilder.let,
    ast.Filter: _BlockBuilder.filter,
    ast.Sort: _BlockBuilder.sort,
    ast.Limit: _BlockBuilder.limit,
    ast.Return: _BlockBuilder.return_,
    ast.Collect: _BlockBuilder.collect,
    ast.Modify: _BlockBuilder.modify,
}
