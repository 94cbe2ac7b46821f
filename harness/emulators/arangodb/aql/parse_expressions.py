"""Expressions: operator precedence, access chains, array expansion, literals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.tokens import TokenReader
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError

CURRENT = "CURRENT"
_POWER = {
    "OR": 2, "AND": 3, "==": 6, "!=": 6, "LIKE": 6, "=~": 6, "!~": 6, "NOT LIKE": 6, "IN": 7, "NOT IN": 7,
    "<": 8, "<=": 8, ">": 8, ">=": 8, "..": 9, "+": 10, "-": 10, "*": 11, "/": 11, "%": 11,
}  # fmt: skip
_QUANTIFIABLE = ("==", "!=", "<", "<=", ">", ">=", "IN", "NOT IN", "LIKE", "NOT LIKE", "=~", "!~")
_CONSTANTS = {"NULL": None, "TRUE": True, "FALSE": False}
_MAX_NESTING = 50


class ExpressionParser(TokenReader, ABC):
    """Recursive descent over expressions."""

    def __init__(self, text: str, bind: dict[str, Any] | None) -> None:
        super().__init__(text, bind)
        self._no_in = False
        self._depth = 0

    @abstractmethod
    def block(self) -> list[ast.Statement]:
        """The statements of a query or subquery."""

    def expression(self, *, no_in: bool = False) -> ast.Expr:
        """An expression; with `no_in`, one that ends before an IN that belongs to the statement."""
        before, self._no_in = self._no_in, no_in
        self._depth += 1
        if self._depth > _MAX_NESTING:
            raise ArangoError(1524)
        result = self._ternary()
        self._depth -= 1
        self._no_in = before
        return result

    def _ternary(self) -> ast.Expr:
        condition = self._binary(0)
        while self.take("?"):
            yes = None if self.peek(":") else self.expression()
            self.expect(":")
            condition = ast.Ternary(condition, yes, self._ternary())
        return condition

    def _operator(self) -> tuple[str, int]:
        """The binary operator that is next and how many tokens it has; empty if there is none."""
        if self.peek("NOT") and self.peek("IN", "LIKE", ahead=1):
            return f"NOT {self.tokens[self.at + 1].value}", 2
        token = self.token
        return (str(token.value), 1) if token.kind in ("op", "keyword") and token.value in _POWER else ("", 0)

    def _binary(self, least: int) -> ast.Expr:
        left = self._unary()
        while True:
            start, quantifier = self.at, self.take("ALL", "ANY", "NONE")
            op, width = self._operator()
            stop = not op or _POWER[op] <= least or (op == "IN" and self._no_in and not quantifier)
            if stop or (quantifier and op not in _QUANTIFIABLE):
                self.at = start
                return left
            self.at += width
            right = self._binary(_POWER[op])
            left = ast.Quantified(quantifier, op, left, right) if quantifier else ast.Binary(op, left, right)

    def _unary(self) -> ast.Expr:
        op = self.take("NOT", "-", "+")
        if not op:
            return self._chain(self.primary())
        operand = self._unary()
        if op == "-" and isinstance(operand, ast.Literal) and type(operand.value) in (int, float):
            return ast.Literal(-operand.value)
        return ast.Unary(op, operand)

    def _chain(self, base: ast.Expr) -> ast.Expr:
        while self.peek(".", "["):
            is_expansion = self.peek("[") and self.peek("*", ahead=1)
            base = self._expansion(base) if is_expansion else self._access(base)
        return base

    def _access(self, base: ast.Expr) -> ast.Expr:
        if self.take("."):
            return ast.Element(base, ast.Literal(self._attribute_name()))
        self.expect("[")
        if self.peek("?"):
            raise NotEmulatedError("[? ...] in AQL")
        base = ast.Element(base, self.expression())
        self.expect("]")
        return base

    def _attribute_name(self) -> str:
        token = self.token
        if token.kind == "bind":
            return self.bound_name()
        if token.kind not in ("name", "keyword"):
            raise self.unexpected()
        self.at += 1
        return str(token.value) if token.kind == "name" else self.text[token.at : token.at + len(token.value)]

    def _expansion(self, base: ast.Expr) -> ast.Expr:
        self.at += 2
        if self.peek("*"):
            raise NotEmulatedError("[**] in AQL")
        made = ast.Expansion(base)
        if self.take("FILTER"):
            made.condition = self.expression()
        if self.take("LIMIT"):
            made.limit = self.bounds()
        if self.take("RETURN"):
            made.result = self.expression()
        self.expect("]")
        if self.peek(".", "["):
            made.suffix = self._chain(ast.Name(CURRENT))
        return made

    def bounds(self) -> ast.Limit:
        """`[offset,] count` of a LIMIT."""
        first = self.expression()
        return ast.Limit(first, self.expression()) if self.take(",") else ast.Limit(ast.Literal(0), first)

    # -- primaries

    def primary(self) -> ast.Expr:
        """A literal, name, call, or something in brackets."""
        token = self.token
        if token.kind in ("number", "string"):
            self.at += 1
            return ast.Literal(token.value)
        if token.kind == "bind":
            return ast.Literal(self.bound())
        if token.kind == "datasource":
            return ast.DataSource(self.bound_name("@"))
        if token.kind == "name" or (token.value == "LIKE" and self.peek("(", ahead=1)):
            return self._named()
        if self.take("("):
            return self._group()
        if self.take("["):
            return ast.ArrayOf(self._list("]"))
        if self.take("{"):
            return self._object()
        if self.take(*_CONSTANTS):
            return ast.Literal(_CONSTANTS[token.value])
        raise self.unexpected()

    def _named(self) -> ast.Expr:
        name = str(self.token.value)
        self.at += 1
        while self.take("::"):
            name += "::" + self.name()
        if not self.take("("):
            return ast.Name(name)
        if not self._starts_query():
            return ast.Call(name.upper(), self._list(")"))
        return ast.Call(name.upper(), [self._group()])

    def _group(self) -> ast.Expr:
        inner = ast.Subquery(self.block()) if self._starts_query() else self.expression()
        self.expect(")")
        return inner

    def _starts_query(self) -> bool:
        return self.peek("FOR", "RETURN", "LET", "INSERT", "UPDATE", "REPLACE", "REMOVE", "UPSERT", "FILTER", "WITH")

    def _list(self, end: str) -> list[ast.Expr]:
        items: list[ast.Expr] = []
        while not self.take(end):
            items.append(self.expression())
            if not self.take(",") and not self.peek(end):
                raise self.unexpected()
        return items

    def _object(self) -> ast.Expr:
        items: list[tuple[ast.Expr, ast.Expr]] = []
        while not self.take("}"):
            items.append(self._member())
            if not self.take(",") and not self.peek("}"):
                raise self.unexpected()
        return ast.ObjectOf(items)

    def _member(self) -> tuple[ast.Expr, ast.Expr]:
        token = self.token
        if self.take("["):
            key = self.expression()
            self.expect("]")
        elif token.kind in ("bind", "string"):
            key = self.primary()
        else:
            key = ast.Literal(self._attribute_name())
            if token.kind == "name" and not self.peek(":"):
                return key, ast.Name(str(token.value))
        self.expect(":")
        return key, self.expression()
