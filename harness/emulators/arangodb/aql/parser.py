"""Statements: a query's text to its syntax tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.parser_expr import ExpressionParser
from harness.emulators.arangodb.errors import ArangoError

_DIRECTIONS = ("OUTBOUND", "INBOUND", "ANY")
_PATHS = ("SHORTEST_PATH", "K_SHORTEST_PATHS", "K_PATHS", "ALL_SHORTEST_PATHS")


class Parser(ExpressionParser):
    """Parses one query."""

    def query(self) -> list[ast.Statement]:
        """All statements. Raises ArangoError 1501 and its relatives; 1552 for a bind value nobody uses."""
        statements = self._block()
        if self.token.kind != "end":
            raise self.unexpected()
        for name in self.bind or {}:
            if name not in self.used:
                raise ArangoError(1552, f"bind parameter '{name}' was not declared in the query (while parsing)")
        return statements

    def subquery(self) -> list[ast.Statement]:
        """The statements up to the closing parenthesis."""
        return self._block()

    def _block(self) -> list[ast.Statement]:
        statements: list[ast.Statement] = []
        if self.take("WITH"):
            self._collection()
            while self.take(",") or self.token.kind in ("name", "datasource"):
                self._collection()
        while not statements or not isinstance(statements[-1], ast.Return):
            token = self.token
            parse = _STATEMENTS.get(str(token.value)) if token.kind == "keyword" else None
            if parse is None:
                break
            self.at += 1
            statements.extend(parse(self))
        ended = bool(statements) and isinstance(statements[-1], ast.Return | ast.Modify)
        modifies = any(isinstance(item, ast.Modify) for item in statements) and self.token.kind == "end"
        if not ended and not modifies:
            raise self.unexpected()
        return statements

    def _collection(self) -> ast.DataSource:
        if self.token.kind == "datasource":
            return self.data_source()
        if self.token.kind == "string":
            token = self.token
            self.at += 1
            return ast.DataSource(str(token.value))
        return ast.DataSource(self.name())

    def _options(self) -> ast.Expr | None:
        return self.expression() if self.take_word("OPTIONS") else None

    # -- FOR

    def for_(self) -> list[ast.Statement]:
        """FOR over a list, a collection, a traversal or paths."""
        variables = [self.name()]
        while self.take(","):
            variables.append(self.name())
        self.expect("IN")
        depth = None
        if not self.peek(*_DIRECTIONS):
            depth = self.expression()
            if not self.peek(*_DIRECTIONS):
                return self._for_list(variables, depth)
        direction = str(self.token.value)
        self.at += 1
        if self.peek(*_PATHS):
            return self._paths(variables, depth, direction)
        start = self.expression()
        statement = ast.Traverse(variables, depth, direction, start, self._graph_source(direction))
        if self.take_word("PRUNE"):
            if self.token.kind == "name" and self.peek("=", ahead=1):
                statement.prune_variable = self.name()
                self.at += 1
            statement.prune = self.expression()
        statement.options = self._options()
        return [statement]

    def _for_list(self, variables: list[str], source: ast.Expr) -> list[ast.Statement]:
        if len(variables) > 1:
            raise self.unexpected()
        if self.peek_word("SEARCH"):
            raise ArangoError(9, "not emulated: SEARCH", status=501)
        return [ast.For(variables[0], source, self._options())]

    def _paths(self, variables: list[str], depth: ast.Expr | None, direction: str) -> list[ast.Statement]:
        kind = str(self.token.value)
        self.at += 1
        start = self.expression()
        if not self.take_word("TO"):
            raise self.unexpected()
        target = self.expression()
        source = self._graph_source(direction)
        return [ast.Paths(kind, variables, depth, direction, start, target, source, self._options())]

    def _graph_source(self, direction: str) -> ast.GraphSource:
        if self.take("GRAPH"):
            token = self.token
            if token.kind == "name":
                self.at += 1
                return ast.GraphSource(ast.Literal(token.value))
            return ast.GraphSource(self._primary())
        collections = []
        while True:
            own = direction
            if self.peek(*_DIRECTIONS):
                own = str(self.token.value)
                self.at += 1
            collections.append((own, self._collection()))
            if not self.take(","):
                return ast.GraphSource(None, collections)

    # -- plain statements

    def let(self) -> list[ast.Statement]:
        """LET a = x, b = y."""
        made: list[ast.Statement] = []
        while True:
            name = self.name()
            self.expect("=")
            made.append(ast.Let(name, self.expression()))
            if not self.take(","):
                return made

    def filter(self) -> list[ast.Statement]:
        """FILTER condition."""
        return [ast.Filter(self.expression())]

    def sort(self) -> list[ast.Statement]:
        """SORT keys; SORT null sorts nothing."""
        keys: list[tuple[ast.Expr, str | ast.Expr]] = []
        while True:
            key = self.expression()
            direction: str | ast.Expr = "ASC"
            if self.peek("ASC", "DESC"):
                direction = str(self.token.value)
                self.at += 1
            elif self.token.kind in ("bind", "string"):
                direction = self._primary()
            keys.append((key, direction))
            if not self.take(","):
                return [ast.Sort([item for item in keys if not isinstance(item[0], ast.Literal)])]

    def limit(self) -> list[ast.Statement]:
        """LIMIT [offset,] count."""
        first = self.expression()
        return [ast.Limit(first, self.expression())] if self.take(",") else [ast.Limit(None, first)]

    def return_(self) -> list[ast.Statement]:
        """RETURN [DISTINCT] value."""
        distinct = self.take("DISTINCT")
        return [ast.Return(self.expression(), distinct)]

    def collect(self) -> list[ast.Statement]:
        """COLLECT in all its forms."""
        made = ast.Collect([], [])
        while self.token.kind == "name" and self.peek("=", ahead=1):
            made.groups.append(self._assignment())
            if not self.take(","):
                break
        if self.take("AGGREGATE"):
            while True:
                name, call = self._assignment()
                if not isinstance(call, ast.Call):
                    raise self.fail(self.token, "invalid aggregate expression", 1574)
                made.aggregates.append((name, call))
                if not self.take(","):
                    break
        self._collect_into(made)
        made.options = self._options()
        if not (made.groups or made.aggregates or made.into or made.count_into):
            raise self.unexpected()
        return [made]

    def _collect_into(self, made: ast.Collect) -> None:
        if self.take("INTO"):
            made.into = self.name()
            if self.take("="):
                made.projection = self.expression()
            elif self.take_word("KEEP"):
                made.keep = [self.name()]
                while self.take(","):
                    made.keep.append(self.name())
        elif self.take("WITH"):
            if not self.take_word("COUNT"):
                raise self.unexpected()
            self.expect("INTO")
            made.count_into = self.name()

    def _assignment(self) -> tuple[str, ast.Expr]:
        name = self.name()
        self.expect("=")
        return name, self.expression()

    def window(self) -> list[ast.Statement]:
        """WINDOW is not emulated."""
        raise ArangoError(9, "not emulated: WINDOW", status=501)

    # -- modifications

    def _target(self) -> ast.DataSource:
        if not self.take("IN", "INTO"):
            raise self.unexpected()
        return self._collection()

    def insert(self) -> list[ast.Statement]:
        """INSERT document INTO collection."""
        document = self.expression(no_in=True)
        return [ast.Modify("INSERT", document, self._target(), options=self._options())]

    def remove(self) -> list[ast.Statement]:
        """REMOVE document IN collection."""
        document = self.expression(no_in=True)
        return [ast.Modify("REMOVE", document, self._target(), options=self._options())]

    def update(self) -> list[ast.Statement]:
        """UPDATE document [WITH changes] IN collection."""
        return self._change("UPDATE")

    def replace(self) -> list[ast.Statement]:
        """REPLACE document [WITH changes] IN collection."""
        return self._change("REPLACE")

    def _change(self, kind: str) -> list[ast.Statement]:
        document = self.expression(no_in=True)
        changes = self.expression(no_in=True) if self.take("WITH") else None
        return [ast.Modify(kind, document, self._target(), changes, options=self._options())]

    def upsert(self) -> list[ast.Statement]:
        """UPSERT search INSERT document UPDATE|REPLACE changes IN collection."""
        searches_by_filter = self.take("FILTER")
        search = self.expression(no_in=not searches_by_filter)
        if searches_by_filter:
            search = ast.Filtering(search)
        self.expect("INSERT")
        insert = self.expression(no_in=True)
        kind = "UPSERT UPDATE" if self.peek("UPDATE") else "UPSERT REPLACE"
        if not self.take("UPDATE", "REPLACE"):
            raise self.unexpected()
        changes = self.expression(no_in=True)
        target = self._target()
        return [ast.Modify(kind, ast.Name("OLD", 0), target, changes, search, insert, self._options())]


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
    "UPDATE": Parser.update,
    "REPLACE": Parser.replace,
    "REMOVE": Parser.remove,
    "UPSERT": Parser.upsert,
}


def parse(text: str, bind: dict[str, Any] | None) -> Parser:
    """A parser for `text`; its `query()` gives the tree. Raises ArangoError 1502 for an empty one."""
    if not text:
        raise ArangoError(1502)
    return Parser(text, bind)
