"""Expressions compiled to Python closures over a row of variables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.context import AqlWarning, Context, Evaluate, Row
from harness.emulators.arangodb.aql.functions import Function, function_of
from harness.emulators.arangodb.aql.operators import COMPARISONS, arithmetic, make_range
from harness.emulators.arangodb.aql.parse_expressions import CURRENT
from harness.emulators.arangodb.aql.values import to_number, to_string, truth

Scope = frozenset[str]
CompileSubquery = Callable[[list[ast.Statement], Scope], Evaluate]


class Expressions:
    """Compiles expressions for one query. `subquery` compiles the statements inside parentheses."""

    def __init__(self, ctx: Context, subquery: CompileSubquery) -> None:
        self._ctx = ctx
        self._compile_subquery = subquery

    def compile(self, node: ast.Expr, scope: Scope) -> Evaluate:
        """A function from a row to the expression's value. Raises ArangoError 1203, 1540, 1541."""
        return _COMPILERS[type(node)](self, node, scope)

    def literal(self, node: ast.Literal, _scope: Scope) -> Evaluate:
        """A constant."""
        value = node.value
        return lambda _row: value

    def name(self, node: ast.Name | ast.DataSource, scope: Scope) -> Evaluate:
        """A variable; otherwise all documents of a collection as an array."""
        name, ctx = node.name, self._ctx
        if isinstance(node, ast.Name) and name in scope:
            return lambda row: row[name]
        collection = ctx.reading(name)

        def scan(_row: Row) -> Any:
            docs = list(ctx.trx.scan(collection))
            ctx.bump("scannedFull", len(docs))
            return docs

        return scan

    def element(self, node: ast.Element, scope: Scope) -> Evaluate:
        """`.name` of an object, `[index]` of an array, null of anything else."""
        base, index = self.compile(node.base, scope), self.compile(node.index, scope)
        name = node.index.value if isinstance(node.index, ast.Literal) else None

        def get(row: Row) -> Any:
            value = base(row)
            return value.get(name) if type(value) is dict else None

        return get if isinstance(name, str) else lambda row: _element(base(row), index(row))

    def expansion(self, node: ast.Expansion, scope: Scope) -> Evaluate:
        """`[*]` with its inline parts and suffix; an empty array of what is no array."""
        inner = scope | {CURRENT}
        base = self.compile(node.base, scope)
        condition, result, suffix = (
            self.compile(part, inner) if part else None for part in (node.condition, node.result, node.suffix)
        )
        bounds = [self.compile(part, scope) for part in (node.limit.offset, node.limit.count)] if node.limit else []

        def expand(row: Row) -> list[Any]:
            items = base(row)
            if not isinstance(items, list):
                return []
            if condition:
                items = [item for item in items if truth(condition({**row, CURRENT: item}))]
            if bounds:
                first, count = (int(to_number(bound(row))) for bound in bounds)
                items = items[first : first + count]
            for part in (result, suffix):
                items = [part({**row, CURRENT: item}) for item in items] if part else items
            return items

        return expand

    def unary(self, node: ast.Unary, scope: Scope) -> Evaluate:
        """NOT, minus and plus."""
        operand = self.compile(node.operand, scope)
        if node.op == "NOT":
            return lambda row: not truth(operand(row))
        sign = -1 if node.op == "-" else 1
        return lambda row: to_number(operand(row)) * sign

    def binary(self, node: ast.Binary, scope: Scope) -> Evaluate:
        """AND and OR give operands and do not look further than needed; the rest are plain operators."""
        left, right = self.compile(node.left, scope), self.compile(node.right, scope)
        op = node.op
        if op == "AND":
            return lambda row: right(row) if truth(value := left(row)) else value
        if op == "OR":
            return lambda row: value if truth(value := left(row)) else right(row)
        if op == "..":
            return lambda row: make_range(left(row), right(row))
        if op not in COMPARISONS:
            return self._warning_null(lambda row: arithmetic(op, left(row), right(row)))
        test = COMPARISONS[op]
        return self._warning_null(lambda row: test(left(row), right(row)))

    def _warning_null(self, evaluate: Evaluate) -> Evaluate:
        def guarded(row: Row) -> Any:
            try:
                return evaluate(row)
            except AqlWarning as warning:
                self._ctx.warn(warning.number, str(warning))
                return None

        return guarded

    def quantified(self, node: ast.Quantified, scope: Scope) -> Evaluate:
        """`array ALL|ANY|NONE op value`; false of what is no array."""
        left, right = self.compile(node.left, scope), self.compile(node.right, scope)
        test, quantifier = COMPARISONS[node.op], node.quantifier

        def ask(row: Row) -> bool:
            items, other = left(row), right(row)
            if not isinstance(items, list):
                return False
            found = (test(item, other) for item in items)
            return all(found) if quantifier == "ALL" else any(found) is (quantifier == "ANY")

        return self._warning_null(ask)

    def ternary(self, node: ast.Ternary, scope: Scope) -> Evaluate:
        """`a ? b : c` and `a ?: c`."""
        condition, no = self.compile(node.condition, scope), self.compile(node.no, scope)
        if node.yes is None:
            return lambda row: value if truth(value := condition(row)) else no(row)
        yes = self.compile(node.yes, scope)
        return lambda row: yes(row) if truth(condition(row)) else no(row)

    def array(self, node: ast.ArrayOf, scope: Scope) -> Evaluate:
        """`[a, b]`."""
        items = [self.compile(item, scope) for item in node.items]
        return lambda row: [item(row) for item in items]

    def object(self, node: ast.ObjectOf, scope: Scope) -> Evaluate:
        """`{a: 1}`."""
        items = [(self.compile(key, scope), self.compile(value, scope)) for key, value in node.items]
        return lambda row: {to_string(key(row)): value(row) for key, value in items}

    def subquery(self, node: ast.Subquery, scope: Scope) -> Evaluate:
        """A query in parentheses: always an array."""
        return self._compile_subquery(node.statements, scope)

    def call(self, node: ast.Call, scope: Scope) -> Evaluate:
        """A function call; a warning inside gives null."""
        function = function_of(node.name, len(node.args))
        args = [self._argument(item, scope, function) for item in node.args]
        run, first = function.run, (self._ctx,) if function.needs_context else ()

        def invoke(row: Row) -> Any:
            values = [arg(row) for arg in args]
            try:
                return run(*first, *values)
            except (TypeError, ValueError, OverflowError, AttributeError):
                # Values of a kind the function has no meaning for: the server too warns and goes on with null.
                raise AqlWarning(1542, f"invalid argument type in call to function '{node.name}()'") from None

        return self._warning_null(invoke)

    def _argument(self, node: ast.Expr, scope: Scope, function: Function) -> Evaluate:
        is_source = isinstance(node, ast.DataSource) or (isinstance(node, ast.Name) and node.name not in scope)
        if function.takes_collection and isinstance(node, ast.Name | ast.DataSource) and is_source:
            return self.literal(ast.Literal(self._ctx.reading(node.name).name), scope)
        return self.compile(node, scope)


def _element(base: Any, index: Any) -> Any:
    if isinstance(base, dict):
        return base.get(to_string(index)) if index is not None else None
    if not isinstance(base, list) or isinstance(index, dict) or index is None:
        return None
    at = math.trunc(to_number(index))
    return base[at] if -len(base) <= at < len(base) else None


_COMPILERS: dict[type[ast.Expr], Callable[[Expressions, Any, Scope], Evaluate]] = {
    ast.Literal: Expressions.literal,
    ast.Name: Expressions.name,
    ast.DataSource: Expressions.name,
    ast.Element: Expressions.element,
    ast.Expansion: Expressions.expansion,
    ast.Unary: Expressions.unary,
    ast.Binary: Expressions.binary,
    ast.Quantified: Expressions.quantified,
    ast.Ternary: Expressions.ternary,
    ast.Call: Expressions.call,
    ast.ArrayOf: Expressions.array,
    ast.ObjectOf: Expressions.object,
    ast.Subquery: Expressions.subquery,
}
