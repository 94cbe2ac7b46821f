"""Expressions compiled to Python closures over a row of variables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.context import AqlWarning, Context, Evaluate, Row
from harness.emulators.arangodb.aql.functions import FUNCTIONS, Function
from harness.emulators.arangodb.aql.operators import COMPARISONS, arithmetic, make_range, quantify
from harness.emulators.arangodb.aql.values import to_number, to_string, truth
from harness.emulators.arangodb.errors import ArangoError

CURRENT = "CURRENT"
Scope = frozenset[str]
CompileSubquery = Callable[[list[ast.Statement], Scope], Evaluate]


class Expressions:
    """Compiles expressions for one query. `subquery` compiles the statements inside parentheses."""

    def __init__(self, ctx: Context, subquery: CompileSubquery) -> None:
        self.ctx = ctx
        self._subquery = subquery

    def compile(self, node: ast.Expr, scope: Scope) -> Evaluate:
        """A function from a row to the expression's value. Raises ArangoError 1203, 1540, 1541."""
        return _COMPILERS[type(node)](self, node, scope)

    def literal(self, node: ast.Literal, _scope: Scope) -> Evaluate:
        """A constant."""
        value = node.value
        return lambda _row: value

    def name(self, node: ast.Name, scope: Scope) -> Evaluate:
        """A variable; otherwise all documents of a collection."""
        if node.name not in scope:
            return self.data_source(ast.DataSource(node.name), scope)
        name = node.name
        return lambda row: row[name]

    def data_source(self, node: ast.DataSource, _scope: Scope) -> Evaluate:
        """All documents of a collection as an array."""
        collection, ctx = self.ctx.reading(node.name), self.ctx

        def scan(_row: Row) -> Any:
            docs = list(ctx.trx.scan(collection))
            ctx.bump("scannedFull", len(docs))
            return docs

        return scan

    def attribute(self, node: ast.Attribute, scope: Scope) -> Evaluate:
        """`.name` of an object, null of anything else."""
        base, name = self.compile(node.base, scope), node.name

        def get(row: Row) -> Any:
            value = base(row)
            return value.get(name) if type(value) is dict else None

        return get

    def element(self, node: ast.Element, scope: Scope) -> Evaluate:
        """`[index]` of an array, `["name"]` of an object."""
        base, index = self.compile(node.base, scope), self.compile(node.index, scope)
        return lambda row: _element(base(row), index(row))

    def current(self, _node: ast.Current, _scope: Scope) -> Evaluate:
        """The element under expansion."""
        return lambda row: row[CURRENT]

    def expansion(self, node: ast.Expansion, scope: Scope) -> Evaluate:
        """`[*]` with its inline parts and suffix."""
        inner = scope | {CURRENT}
        base = self.compile(node.base, scope)
        chosen = self._inline(node.inline, inner)
        result = self.compile(node.inline.result, inner) if node.inline.result else None
        suffix = self.compile(node.suffix, inner) if node.suffix else None
        levels = node.levels

        def expand(row: Row) -> list[Any]:
            items = base(row)
            if not isinstance(items, list):
                return []
            rows = chosen(row, flatten(items, levels - 1))
            values = [result({**row, CURRENT: item}) for item in rows] if result else rows
            return [suffix({**row, CURRENT: value}) for value in values] if suffix else values

        return expand

    def _inline(self, inline: ast.Inline, scope: Scope) -> Callable[[Row, list[Any]], list[Any]]:
        condition = self.compile(inline.condition, scope) if inline.condition else None
        limit = inline.limit
        offset = self.compile(limit[0], scope - {CURRENT}) if limit and limit[0] else None
        count = self.compile(limit[1], scope - {CURRENT}) if limit else None

        def choose(row: Row, items: list[Any]) -> list[Any]:
            if condition:
                items = [item for item in items if truth(condition({**row, CURRENT: item}))]
            if count:
                start = int(to_number(offset(row))) if offset else 0
                items = items[start : start + int(to_number(count(row)))]
            return items

        return choose

    def question(self, node: ast.Question, scope: Scope) -> Evaluate:
        """`[? quantifier FILTER condition]`: whether so many elements match."""
        base = self.compile(node.base, scope)
        chosen = self._inline(node.inline, scope | {CURRENT})
        bound = self.compile(node.inline.at_least, scope) if node.inline.at_least else None
        quantifier = node.inline.quantifier or "ANY"

        def ask(row: Row) -> bool:
            items = base(row)
            if not isinstance(items, list):
                return False
            return quantify(quantifier, bound(row) if bound else None, len(chosen(row, items)), len(items))

        return ask

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
        op, ctx = node.op, self.ctx
        if op == "AND":
            return lambda row: right(row) if truth(value := left(row)) else value
        if op == "OR":
            return lambda row: value if truth(value := left(row)) else right(row)
        if op == "..":
            return lambda row: make_range(left(row), right(row))
        if op in COMPARISONS:
            test = COMPARISONS[op]
            if "~" in op:
                return self._warning_null(lambda row: test(left(row), right(row)))
            return lambda row: test(left(row), right(row))
        return lambda row: arithmetic(op, left(row), right(row), ctx)

    def _warning_null(self, evaluate: Evaluate) -> Evaluate:
        def guarded(row: Row) -> Any:
            try:
                return evaluate(row)
            except AqlWarning as warning:
                self.ctx.warn(warning.number, str(warning))
                return None

        return guarded

    def quantified(self, node: ast.Quantified, scope: Scope) -> Evaluate:
        """`array ALL|ANY|NONE|AT LEAST (n) op value`."""
        left, right = self.compile(node.left, scope), self.compile(node.right, scope)
        bound = self.compile(node.at_least, scope) if node.at_least else None
        test, quantifier = COMPARISONS[node.op], node.quantifier

        def ask(row: Row) -> bool:
            items, other = left(row), right(row)
            if not isinstance(items, list):
                return False
            found = sum(test(item, other) for item in items)
            return quantify(quantifier, bound(row) if bound else None, found, len(items))

        return ask

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
        return self._subquery(node.statements, scope)

    def call(self, node: ast.Call, scope: Scope) -> Evaluate:
        """A function call; a warning inside gives null."""
        function = FUNCTIONS.get(node.name)
        if function is None:
            raise _unknown(node.name)
        _check_arguments(node, function)
        ctx, run = self.ctx, function.run
        args = [self._argument(item, scope, function) for item in node.args]
        name, first = node.name, (ctx,) if function.needs_context else ()

        def invoke(row: Row) -> Any:
            values = [arg(row) for arg in args]
            try:
                return run(*first, *values)
            except (TypeError, ValueError, OverflowError, AttributeError):
                # Values of a kind the function has no meaning for: the server too warns and goes on with null.
                raise AqlWarning(1542, f"invalid argument type in call to function '{name}()'") from None

        return self._warning_null(invoke)

    def _argument(self, node: ast.Expr, scope: Scope, function: Function) -> Evaluate:
        if function.takes_collection:
            if isinstance(node, ast.Name) and node.name not in scope:
                return self.literal(ast.Literal(self.ctx.reading(node.name).name), scope)
            if isinstance(node, ast.DataSource):
                return self.literal(ast.Literal(self.ctx.reading(node.name).name), scope)
        return self.compile(node, scope)


def _unknown(name: str) -> ArangoError:
    if name in _NOT_EMULATED or "::" in name:
        return ArangoError(9, f"not emulated: function {name}()", status=501)
    return ArangoError(1540, f"usage of unknown function '{name}()'")


_NOT_EMULATED_TEXT = """
    NEAR WITHIN WITHIN_RECTANGLE FULLTEXT ANALYZER BOOST EXISTS PHRASE MIN_MATCH NGRAM_MATCH LEVENSHTEIN_MATCH
    BM25 TFIDF OFFSET_INFO MINHASH MINHASH_COUNT MINHASH_ERROR MINHASH_MATCH TOKENS SOUNDEX V8 SHARD_ID
    DECAY_GAUSS DECAY_EXP DECAY_LINEAR COSINE_SIMILARITY L1_DISTANCE L2_DISTANCE JACCARD NGRAM_SIMILARITY
    NGRAM_POSITIONAL_SIMILARITY SUBSTRING_BYTES APPROX_NEAR_COSINE APPROX_NEAR_L2 GEO_DISTANCE GEO_CONTAINS
    GEO_INTERSECTS GEO_EQUALS GEO_AREA GEO_IN_RANGE GEO_POINT GEO_MULTIPOINT GEO_POLYGON GEO_MULTIPOLYGON
    GEO_LINESTRING GEO_MULTILINESTRING IS_IN_POLYGON SCHEMA_GET SCHEMA_VALIDATE
"""
_NOT_EMULATED = frozenset(_NOT_EMULATED_TEXT.split())


def _check_arguments(node: ast.Call, function: Function) -> None:
    most = function.most
    if len(node.args) < function.least or (most is not None and len(node.args) > most):
        wanted = f"{function.least}" if most == function.least else f"{function.least} to {most}"
        text = f"invalid number of arguments for function '{node.name}()', expected number of arguments: "
        raise ArangoError(1541, text + (wanted if most is not None else f"at least {function.least}"))


def _element(base: Any, index: Any) -> Any:
    if isinstance(base, dict):
        return base.get(to_string(index)) if index is not None else None
    if not isinstance(base, list) or isinstance(index, dict) or index is None:
        return None
    at = math.trunc(to_number(index))
    return base[at] if -len(base) <= at < len(base) else None


def flatten(items: list[Any], depth: int) -> list[Any]:
    """An array with `depth` levels of nesting dissolved."""
    if depth < 1:
        return items
    out: list[Any] = []
    for item in items:
        out.extend(flatten(item, depth - 1) if isinstance(item, list) else [item])
    return out


_COMPILERS: dict[type[ast.Expr], Callable[[Expressions, Any, Scope], Evaluate]] = {
    ast.Literal: Expressions.literal,
    ast.Name: Expressions.name,
    ast.DataSource: Expressions.data_source,
    ast.Attribute: Expressions.attribute,
    ast.Element: Expressions.element,
    ast.Current: Expressions.current,
    ast.Expansion: Expressions.expansion,
    ast.Question: Expressions.question,
    ast.Unary: Expressions.unary,
    ast.Binary: Expressions.binary,
    ast.Quantified: Expressions.quantified,
    ast.Ternary: Expressions.ternary,
    ast.Call: Expressions.call,
    ast.ArrayOf: Expressions.array,
    ast.ObjectOf: Expressions.object,
    ast.Subquery: Expressions.subquery,
}

__all__ = ["CURRENT", "Expressions", "Scope"]
