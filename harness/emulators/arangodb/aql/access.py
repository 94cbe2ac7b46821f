"""Which index serves a FOR over a collection, and how it finds the candidate documents.

Conditions are only used to narrow: the FILTER itself is still evaluated, so an index may give too much, never too
little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import product
from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.context import Evaluate, Row
from harness.emulators.arangodb.aql.values import NULL_KEY, sort_key
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.indexes import Bound, Index

_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}
_PRIMARY = {"id": "0", "type": "primary", "name": "primary", "fields": ["_key"], "unique": True, "sparse": False}


@dataclass(frozen=True, slots=True)
class Term:
    """One usable condition: the attribute at `path` compared with an expression known before the FOR."""

    path: str
    op: str
    value: ast.Expr


@dataclass(frozen=True, slots=True)
class Access:
    """A way into a collection: the index's facts, the candidate keys for a row, and how much it narrows."""

    index: dict[str, Any]
    keys: Callable[[Row], Iterable[str]]
    score: int


def free_names(node: Any) -> Iterator[str]:
    """The names an expression refers to."""
    if isinstance(node, ast.Name):
        yield node.name
    elif isinstance(node, list | tuple):
        for item in node:
            yield from free_names(item)
    elif is_dataclass(node):
        for field in fields(node):
            yield from free_names(getattr(node, field.name))


def _path_of(node: ast.Expr, variable: str) -> str:
    """The dotted path of `variable.a.b`, or "" if the expression is something else."""
    names: list[str] = []
    while isinstance(node, ast.Element) and isinstance(node.index, ast.Literal) and isinstance(node.index.value, str):
        names.append(node.index.value)
        node = node.base
    return ".".join(reversed(names)) if isinstance(node, ast.Name) and node.name == variable else ""


def _parts(node: ast.Expr, op: str) -> list[ast.Expr]:
    """What AND or OR connects."""
    if isinstance(node, ast.Binary) and node.op == op:
        return _parts(node.left, op) + _parts(node.right, op)
    return [node]


class AccessFinder:
    """Finds accesses for one FOR. `known` are the variables before it, `compile_value` compiles over their row."""

    def __init__(
        self,
        collection: Collection,
        variable: str,
        known: frozenset[str],
        compile_value: Callable[[ast.Expr], Evaluate],
    ) -> None:
        self._collection, self._variable = collection, variable
        self._known, self._compile = known, compile_value

    def find(self, conditions: list[ast.Expr]) -> list[Access]:
        """The accesses whose union holds every match; empty when only a full scan does."""
        parts = [part for condition in conditions for part in _parts(condition, "AND")]
        best = self._best(parts)
        if best is not None:
            return [best]
        for part in parts:
            found = [self._best(_parts(branch, "AND")) for branch in _parts(part, "OR")]
            if len(found) > 1 and all(found):
                return [access for access in found if access is not None]
        return []

    def _best(self, parts: list[ast.Expr]) -> Access | None:
        terms = [term for part in parts if (term := self._term(part)) is not None]
        found = [self._primary(terms), *(self._sorted(index, terms) for index in self._collection.indexes)]
        return max((one for one in found if one is not None), key=lambda access: access.score, default=None)

    def _term(self, node: ast.Expr) -> Term | None:
        if not isinstance(node, ast.Binary):
            return None
        left, right = _path_of(node.left, self._variable), _path_of(node.right, self._variable)
        if left and (node.op in _MIRROR or node.op == "IN") and self._is_known(node.right):
            return Term(left, node.op, node.right)
        if right and node.op in _MIRROR and self._is_known(node.left):
            return Term(right, _MIRROR[node.op], node.left)
        if right and node.op == "IN" and self._is_known(node.left):
            return Term(right + "[*]", "==", node.left)
        return None

    def _is_known(self, node: ast.Expr) -> bool:
        is_query = isinstance(node, ast.Subquery | ast.DataSource)
        return not is_query and all(name in self._known for name in free_names(node))

    def _values(self, term: Term) -> Callable[[Row], list[Any]]:
        value = self._compile(term.value)
        if term.op == "IN":
            return lambda row: items if isinstance(items := value(row), list) else []
        return lambda row: [value(row)]

    def _primary(self, terms: list[Term]) -> Access | None:
        term = _first(terms, ("_key", "_id"), ("==", "IN"))
        if term is None:
            return None
        values, prefix = self._values(term), "" if term.path == "_key" else self._collection.name + "/"

        def keys(row: Row) -> Iterator[str]:
            for value in values(row):
                if isinstance(value, str) and value.startswith(prefix):
                    yield value[len(prefix) :]

        return Access(_PRIMARY, keys, 1000)

    def _sorted(self, index: Index, terms: list[Term]) -> Access | None:
        """Equality on the first fields, then a range on the next one."""
        usable = [term for term in terms if not index.sparse or _excludes_null(term)]
        prefix: list[Callable[[Row], list[Any]]] = []
        low = high = None
        for field in index.fields:
            term = _first(usable, (field,), ("==", "IN"))
            if term is None:
                low, high = _first(usable, (field,), (">", ">=")), _first(usable, (field,), ("<", "<="))
                break
            prefix.append(self._values(term))
        covered = len(prefix) + bool(low or high)
        if not covered or (index.sparse and covered < len(index.fields)):
            return None
        lower, upper = (self._bound(term) if term else _unbounded for term in (low, high))

        def keys(row: Row) -> Iterator[str]:
            for values in product(*(part(row) for part in prefix)):
                yield from index.keys_between(tuple(map(sort_key, values)), lower(row), upper(row))

        score = 10 * len(prefix) + 4 * bool(low) + 4 * bool(high) + 5 * index.unique
        return Access(index.definition, keys, score)

    def _bound(self, term: Term) -> Callable[[Row], Bound | None]:
        value, inclusive = self._compile(term.value), term.op in ("<=", ">=")
        return lambda row: (sort_key(value(row)), inclusive)


def _unbounded(_row: Row) -> Bound | None:
    return None


def _first(terms: list[Term], paths: tuple[str, ...], operators: tuple[str, ...]) -> Term | None:
    return next((term for term in terms if term.path in paths and term.op in operators), None)


def _excludes_null(term: Term) -> bool:
    """Whether a condition can be proved never to match null, which a sparse index leaves out."""
    if not isinstance(term.value, ast.Literal) or term.op in ("<", "<="):
        return False
    if term.op == "IN":
        return isinstance(term.value.value, list) and None not in term.value.value
    return term.op == ">" or sort_key(term.value.value) != NULL_KEY
