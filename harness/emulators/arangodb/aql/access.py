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
from harness.emulators.arangodb.indexes import Bound, EdgeIndex, Index, SortedIndex

_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


@dataclass(frozen=True, slots=True)
class Term:
    """One usable condition: the attribute at `path` compared with an expression known before the FOR."""

    path: str
    op: str
    value: ast.Expr


@dataclass(frozen=True, slots=True)
class Access:
    """A way into a collection: the index's facts, and the candidate keys for a row."""

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


def path_of(node: ast.Expr, variable: str) -> str:
    """The dotted path of `variable.a.b`, or "" if the expression is something else."""
    names: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            names.append(node.name)
        elif (
            isinstance(node, ast.Element) and isinstance(node.index, ast.Literal) and isinstance(node.index.value, str)
        ):
            names.append(node.index.value)
        else:
            break
        node = node.base
    return ".".join(reversed(names)) if isinstance(node, ast.Name) and node.name == variable else ""


def conjuncts(node: ast.Expr) -> list[ast.Expr]:
    """The parts of a condition that must all hold."""
    if isinstance(node, ast.Binary) and node.op == "AND":
        return conjuncts(node.left) + conjuncts(node.right)
    return [node]


def _branches(node: ast.Expr) -> list[ast.Expr]:
    if isinstance(node, ast.Binary) and node.op == "OR":
        return _branches(node.left) + _branches(node.right)
    return [node]


def _term(node: ast.Expr, variable: str, known: frozenset[str]) -> Term | None:
    if not isinstance(node, ast.Binary):
        return None
    left, right = path_of(node.left, variable), path_of(node.right, variable)
    if left and node.op in ("==", "<", "<=", ">", ">=", "IN") and _known(node.right, known):
        return Term(left, node.op, node.right)
    if right and node.op in _MIRROR and _known(node.left, known):
        return Term(right, _MIRROR[node.op], node.left)
    if right and node.op == "IN" and _known(node.left, known):
        return Term(right + "[*]", "==", node.left)
    return None


def _known(node: ast.Expr, known: frozenset[str]) -> bool:
    return not isinstance(node, ast.Subquery | ast.DataSource) and all(name in known for name in free_names(node))


class AccessFinder:
    """Finds accesses for one FOR. `compile_value` compiles an expression over the row before the FOR."""

    def __init__(
        self,
        collection: Collection,
        variable: str,
        known: frozenset[str],
        compile_value: Callable[[ast.Expr], Evaluate],
    ) -> None:
        self._collection = collection
        self._variable = variable
        self._known = known
        self._compile = compile_value

    def find(self, conditions: list[ast.Expr]) -> list[Access]:
        """The accesses whose union holds every match; empty when only a full scan does."""
        parts = [part for condition in conditions for part in conjuncts(condition)]
        best = self._best(parts)
        if best is not None:
            return [best]
        for part in parts:
            branches = _branches(part)
            if len(branches) > 1:
                found = [self._best(conjuncts(branch)) for branch in branches]
                if all(found):
                    return [access for access in found if access is not None]
        return []

    def _best(self, parts: list[ast.Expr]) -> Access | None:
        terms = [term for part in parts if (term := _term(part, self._variable, self._known)) is not None]
        found = [self._primary(terms)]
        found += [self._through(index, terms) for index in self._collection.indexes]
        usable = [access for access in found if access is not None]
        return max(usable, key=lambda access: access.score, default=None)

    def _values(self, term: Term) -> Callable[[Row], list[Any]]:
        value = self._compile(term.value)
        if term.op == "IN":
            return lambda row: items if isinstance(items := value(row), list) else []
        return lambda row: [value(row)]

    def _primary(self, terms: list[Term]) -> Access | None:
        term = next((term for term in terms if term.path in ("_key", "_id") and term.op in ("==", "IN")), None)
        if term is None:
            return None
        values, prefix = self._values(term), "" if term.path == "_key" else self._collection.name + "/"
        facts = {"id": "0", "type": "primary", "name": "primary", "fields": ["_key"], "unique": True, "sparse": False}

        def keys(row: Row) -> Iterator[str]:
            for value in values(row):
                if isinstance(value, str) and value.startswith(prefix):
                    yield value[len(prefix) :]

        return Access(facts, keys, 1000)

    def _through(self, index: Index, terms: list[Term]) -> Access | None:
        if isinstance(index, EdgeIndex):
            return self._edge(index, terms)
        return self._sorted(index, terms) if isinstance(index, SortedIndex) else None

    def _edge(self, index: EdgeIndex, terms: list[Term]) -> Access | None:
        term = next((term for term in terms if term.path in ("_from", "_to") and term.op in ("==", "IN")), None)
        if term is None:
            return None
        values = self._values(term)

        def keys(row: Row) -> Iterator[str]:
            for value in values(row):
                yield from index.keys_of((term.path, value)) if isinstance(value, str) else ()

        return Access(describe(index, self._collection), keys, 15)

    def _sorted(self, index: SortedIndex, terms: list[Term]) -> Access | None:
        usable = [term for term in terms if not index.sparse or _excludes_null(term)]
        prefix: list[Callable[[Row], list[Any]]] = []
        low = high = None
        for field in index.fields:
            term = next((term for term in usable if term.path == field and term.op in ("==", "IN")), None)
            if term is None:
                low = next((term for term in usable if term.path == field and term.op in (">", ">=")), None)
                high = next((term for term in usable if term.path == field and term.op in ("<", "<=")), None)
                break
            prefix.append(self._values(term))
        if not prefix and not low and not high:
            return None
        if index.sparse and len(prefix) + bool(low or high) < len(index.fields):
            return None
        return self._range(index, prefix, low, high)

    def _range(
        self, index: SortedIndex, prefix: list[Callable[[Row], list[Any]]], low: Term | None, high: Term | None
    ) -> Access:
        lower = self._bound(low) if low else None
        upper = self._bound(high) if high else None

        def keys(row: Row) -> Iterator[str]:
            for values in product(*(part(row) for part in prefix)):
                entry = tuple(sort_key(value) for value in values)
                yield from index.keys_between(entry, lower(row) if lower else None, upper(row) if upper else None)

        score = 10 * len(prefix) + 4 * bool(low) + 4 * bool(high) + 5 * index.unique
        return Access(describe(index, self._collection), keys, score)

    def _bound(self, term: Term) -> Callable[[Row], Bound]:
        value, inclusive = self._compile(term.value), term.op in ("<=", ">=")
        return lambda row: (sort_key(value(row)), inclusive)


def _excludes_null(term: Term) -> bool:
    """Whether a condition can be proved never to match null, which a sparse index leaves out."""
    if not isinstance(term.value, ast.Literal) or term.op in ("<", "<="):
        return False
    if term.op == "IN":
        return isinstance(term.value.value, list) and None not in term.value.value
    return term.op == ">" or sort_key(term.value.value) != NULL_KEY


def describe(index: Index, collection: Collection) -> dict[str, Any]:
    """An index as it stands in an explained plan."""
    facts = {"id": index.id, "type": index.kind, "name": index.name, "fields": list(index.fields)}
    return {**facts, "unique": index.unique, "sparse": index.sparse, "collection": collection.name}


__all__ = ["Access", "AccessFinder", "conjuncts", "describe", "free_names", "path_of"]
