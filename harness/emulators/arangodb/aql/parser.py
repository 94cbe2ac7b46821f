"""Statements: a query's text to its syntax tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.parse_expressions import ExpressionParser
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
from harness.emulators.runner import note

_DIRECTIONS = ("OUTBOUND", "INBOUND", "ANY")
_PATHS = ("SHORTEST_PATH", "K_SHORTEST_PATHS", "ALL_SHORTEST_PATHS")


class Parser(ExpressionParser):
    """Parses one query."""

    def query(self) -> list[ast.Statement]:
        """All statements. Raises ArangoError 1501 and its relatives; 1552 for a bind value nobody uses."""
        statements = self.block()
        if self.token.kind != "end":
            raise self.unexpected()
        for name in self.bind or {}:
            if name not in self.used:
                raise ArangoError(1552, f"bind parameter '{name}' was not declared in the query (while parsing)")
        return statements

    def block(self) -> list[ast.Statement]:
        """The statements up to the end of the query, or to the parenthesis that closes a subquery."""
        statements: list[ast.Statement] = []
        if self.take("WITH"):
            self._collection()
            while self.take(",") or self.token.kind in ("name", "datasource"):
                self._collection()
        while not statements or not isinstance(statements[-1], ast.Return):
            parse = _STATEMENTS.get(str(self.token.value)) if self.token.kind == "keyword" else None
            if parse is None:
                break
            note("arangodb", f"AQL {self.token.value}")
            self.at += 1
            statements.extend(parse(self))
        ended = bool(statements) and isinstance(statements[-1], ast.Return | ast.Modify)
        modifies = any(isinstance(item, ast.Modify) for item in statements) and self.token.kind == "end"
        if not ended and not modifies:
            raise self.unexpected()
        return statements

    def _collection(self) -> ast.DataSource:
        if self.token.kind == "datasource":
            return ast.DataSource(self.bound_name("@"))
        return ast.DataSource(self.name())

    def _options(self) -> ast.Expr | None:
        return self.expression() if self.take_word("OPTIONS") else None

    def _names(self) -> list[str]:
        names = [self.name()]
        while self.take(","):
            names.append(self.name())
        return names

    # -- FOR

    def for_(self) -> list[ast.Statement]:
        """FOR over a list, a collection, a traversal or paths."""
        variables = self._names()
        self.expect("IN")
        depth: ast.Expr = ast.Literal(1)
        if not self.peek(*_DIRECTIONS):
            depth = self.expression()
        direction = self.take(*_DIRECTIONS)
        if direction:
            return [self._walk(variables, depth, direction)]
        if len(variables) > 1:
            raise self.unexpected()
        if self.take_word("SEARCH"):
            raise NotEmulatedError("SEARCH in AQL")
        return [ast.For(variables[0], depth, self._options())]

    def _walk(self, variables: list[str], depth: ast.Expr, direction: str) -> ast.Walk:
        if self.peek("K_PATHS"):
            raise NotEmulatedError("K_PATHS in AQL")
        kind = self.take(*_PATHS)
        note("arangodb", f"AQL {kind or 'traversal'}")
        made = ast.Walk(kind, variables, depth, direction, self.expression())
        if kind:
            if not self.take_word("TO"):
                raise self.unexpected()
            made.target = self.expression()
        self._edges(made)
        if not kind and self.take_word("PRUNE"):
            if self.token.kind == "name" and self.peek("=", ahead=1):
                made.prune_variable = self.name()
                self.expect("=")
            made.prune = self.expression()
        made.options = self._options()
        return made

    def _edges(self, made: ast.Walk) -> None:
        if self.take("GRAPH"):
            made.graph = ast.Literal(self.name()) if self.token.kind == "name" else self.primary()
            return
        while not made.edges or self.take(","):
            own = self.take(*_DIRECTIONS) or made.direction
            made.edges.append((own, self._collection()))

    # -- plain statements

    def let(self) -> list[ast.Statement]:
        """LET a = x, b = y."""
        made: list[ast.Statement] = [ast.Let(*self._assignment())]
        while self.take(","):
            made.append(ast.Let(*self._assignment()))
        return made

    def _assignment(self) -> tuple[str, ast.Expr]:
        name = self.name()
        self.expect("=")
        return name, self.expression()

    def filter(self) -> list[ast.Statement]:
        """FILTER condition."""
        return [ast.Filter(self.expression())]

    def sort(self) -> list[ast.Statement]:
        """SORT keys; a constant sorts nothing."""
        keys: list[tuple[ast.Expr, bool]] = []
        while not keys or self.take(","):
            key = self.expression()
            keys.append((key, self.take("ASC", "DESC") == "DESC"))
        return [ast.Sort([item for item in keys if not isinstance(item[0], ast.Literal)])]

    def limit(self) -> list[ast.Statement]:
        """LIMIT [offset,] count."""
        return [self.bounds()]

    def return_(self) -> list[ast.Statement]:
        """RETURN [DISTINCT] value."""
        distinct = bool(self.take("DISTINCT"))
        return [ast.Return(self.expression(), distinct)]

    def collect(self) -> list[ast.Statement]:
        """COLLECT in all its forms; how it is done (OPTIONS) is read and of no consequence."""
        made = ast.Collect([], [])
        while self.token.kind == "name" and self.peek("=", ahead=1):
            made.groups.append(self._assignment())
            if not self.take(","):
                break
        if self.take("AGGREGATE"):
            while not made.aggregates or self.take(","):
                name, call = self._assignment()
                if not isinstance(call, ast.Call):
                    raise ArangoError(1574, "invalid aggregate expression")
                made.aggregates.append((name, call))
        self._collect_into(made)
        self._options()
        if not (made.groups or made.aggregates or made.into or made.count_into):
            raise self.unexpected()
        return [made]

    def _collect_into(self, made: ast.Collect) -> None:
        if self.take("INTO"):
            made.into = self.name()
            if self.take("="):
                made.projection = self.expression()
            elif self.take_word("KEEP"):
                made.keep = self._names()
        elif self.take("WITH"):
            if not self.take_word("COUNT"):
                raise self.unexpected()
            self.expect("INTO")
            made.count_into = self.name()

    def window(self) -> list[ast.Statement]:
        """WINDOW is not emulated."""
        raise NotEmulatedError("WINDOW in AQL")

    # -- modifications

    def _modify(self, kind: str, document: ast.Expr, changes: ast.Expr | None = None) -> ast.Modify:
        self.expect("IN", "INTO")
        return ast.Modify(kind, document, self._collection(), changes, options=self._options())

    def insert(self) -> list[ast.Statement]:
        """INSERT document INTO collection."""
        return [self._modify("INSERT", self.expression(no_in=True))]

    def remove(self) -> list[ast.Statement]:
        """REMOVE document IN collection."""
        return [self._modify("REMOVE", self.expression(no_in=True))]

    def change(self) -> list[ast.Statement]:
        """UPDATE or REPLACE document [WITH changes] IN collection."""
        kind = str(self.tokens[self.at - 1].value)
        document = self.expression(no_in=True)
        changes = self.expression(no_in=True) if self.take("WITH") else None
        return [self._modify(kind, document, changes)]

    def upsert(self) -> list[ast.Statement]:
        """UPSERT search INSERT document UPDATE|REPLACE changes IN collection."""
        if self.peek("FILTER"):
            raise NotEmulatedError("UPSERT FILTER in AQL")
        search = self.expression(no_in=True)
        self.expect("INSERT")
        insert = self.expression(no_in=True)
        kind = self.take("UPDATE", "REPLACE")
        if not kind:
            raise self.unexpected()
        made = self._modify(kind, ast.Name("OLD"), self.expression(no_in=True))
        made.search, made.insert = search, insert
        return [made]


_STATEMENTS: dict[str, Callable[[Parser], list[ast.Statement]]] = {
    "FOR": Parser.for_,
    "LET": Parser.let,
    "FILTER": Parser.filter,
    "SORT": Parser.sort,
    "LIMIT": Parser.limit,
    "RETURN": Parser.return_,
    "COLLECT": Parser.collect,
    "WINDOW": Parser.window,
    "INSERT": Parser.insert,
    "UPDATE": Parser.change,
    "REPLACE": Parser.change,
    "REMOVE": Parser.remove,
    "UPSERT": Parser.upsert,
}


def parse(text: str, bind: dict[str, Any] | None) -> Parser:
    """A parser for `text`; its `query()` gives the tree. Raises ArangoError 1502 for an empty one."""
    if not text:
        raise ArangoError(1502)
    return Parser(text, bind)
