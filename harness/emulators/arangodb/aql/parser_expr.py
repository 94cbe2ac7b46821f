"""Expressions: operator precedence, access chains, array expansion, literals."""

from __future__ import annotations

from typing import Any

from harness.emulators.arangodb.aql import ast
from harness.emulators.arangodb.aql.token_reader import TokenReader
from harness.emulators.arangodb.errors import ArangoError

_POWER = {
    "OR": 2, "AND": 3, "==": 6, "!=": 6, "LIKE": 6, "=~": 6, "!~": 6, "NOT LIKE": 6, "IN": 7, "NOT IN": 7,
    "<": 8, "<=": 8, ">": 8, ">=": 8, "..": 9, "+": 10, "-": 10, "*": 11, "/": 11, "%": 11,
}  # fmt: skip
_UNARY_POWER = 12
_QUANTIFIABLE = ("==", "!=", "<", "<=", ">", ">=", "IN", "NOT IN", "LIKE", "NOT LIKE", "=~", "!~")
_MAX_NESTING = 50


class ExpressionParser(TokenReader):
    """Recursive descent over expressions."""

    def __init__(self, text: str, bind: dict[str, Any] | None) -> None:
        super().__init__(text, bind)
        self._no_in = False
        self._depth = 0

    def expression(self, *, no_in: bool = False) -> ast.Expr:
        """An expression; with `no_in`, one that ends before an IN that belongs to the statement."""
        before, self._no_in = self._no_in, no_in
        self._depth += 1
        if self._depth > _MAX_NESTING:
            raise ArangoError(1524, "too much nesting or too many objects")
        result = self._ternary()
        self._depth -= 1
        self._no_in = before
        return result

    def _ternary(self) -> ast.Expr:
        condition = self._binary(0)
        while self.take("?"):
            if self.take(":"):
                condition = ast.Ternary(condition, None, self._ternary())
                continue
            yes = self.expression()
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
            quantified = self._quantified(left, least)
            if quantified is not None:
                left = quantified
                continue
            op, width = self._operator()
            if not op or _POWER[op] <= least or (op == "IN" and self._no_in):
                return left
            self.at += width
            left = ast.Binary(op, left, self._binary(_POWER[op]))

    def _quantified(self, left: ast.Expr, least: int) -> ast.Expr | None:
        start = self.at
        quantifier, count = "", None
        if self.peek("ALL", "ANY", "NONE"):
            quantifier = str(self.token.value)
            self.at += 1
        elif self.peek_word("AT") and self.peek_word("LEAST", ahead=1):
            self.at += 2
            quantifier = "AT LEAST"
            self.expect("(")
            count = self.expression()
            self.expect(")")
        op, width = self._operator() if quantifier else ("", 0)
        if op not in _QUANTIFIABLE or _POWER[op] <= least:
            self.at = start
            return None
        self.at += width
        return ast.Quantified(quantifier, count, op, left, self._binary(_POWER[op]))

    def _unary(self) -> ast.Expr:
        for op in ("NOT", "-", "+"):
            if self.take(op):
                operand = self._unary()
                if op == "-" and isinstance(operand, ast.Literal) and type(operand.value) in (int, float):
                    return ast.Literal(-operand.value)
                return ast.Unary(op, operand)
        return self._chain(self._primary())

    def _chain(self, base: ast.Expr) -> ast.Expr:
        while True:
            if self.take("."):
                base = ast.Attribute(base, self._attribute_name())
            elif self.peek("[") and self.peek("*", ahead=1):
                base = self._expansion(base)
            elif self.peek("[") and self.peek("?", ahead=1):
                self.at += 2
                base = ast.Question(base, self._inline())
                self.expect("]")
            elif self.take("["):
                base = ast.Element(base, self.expression())
                self.expect("]")
            else:
                return base

    def _attribute_name(self) -> str:
        token = self.token
        if token.kind == "bind":
            value = self.bind_value(token)
            if self.bind is not None and not isinstance(value, str):
                raise ArangoError(1553, f"bind parameter '{token.value}' has an invalid value or type")
            return str(value)
        if token.kind not in ("name", "keyword"):
            raise self.unexpected()
        self.at += 1
        end = self.tokens[self.at].at
        return str(token.value) if token.kind == "name" else self.text[token.at : end].strip()[: len(token.value)]

    def _expansion(self, base: ast.Expr) -> ast.Expr:
        self.at += 1
        levels = 0
        while self.take("*"):
            levels += 1
        inline = self._inline()
        self.expect("]")
        suffix = None
        if self.peek(".", "["):
            suffix = self._suffix(ast.Current())
        made = ast.Expansion(base, levels, inline, suffix)
        return self._chain(made) if self.peek("[", ".") else made

    def _suffix(self, base: ast.Expr) -> ast.Expr:
        """The accesses after `[*]`, up to a `[**]`, which applies to the whole."""
        while self.peek(".", "["):
            if self.peek("[") and self.peek("*", ahead=1):
                return base if self.peek("*", ahead=2) else self._expansion(base)
            if self.take("."):
                base = ast.Attribute(base, self._attribute_name())
            else:
                self.expect("[")
                base = ast.Element(base, self.expression())
                self.expect("]")
        return base

    def _inline(self) -> ast.Inline:
        inline = ast.Inline()
        if self.peek("ALL", "ANY", "NONE"):
            inline.quantifier = str(self.token.value)
            self.at += 1
        elif self.take_word("AT"):
            self.take_word("LEAST")
            inline.quantifier, inline.at_least = "AT LEAST", self._parenthesised()
        elif not self.peek("FILTER", "LIMIT", "RETURN", "]"):
            inline.quantifier, inline.at_least = "RANGE", self.expression()
        if self.take("FILTER"):
            inline.condition = self.expression()
        if self.take("LIMIT"):
            first = self.expression()
            inline.limit = (first, self.expression()) if self.take(",") else (None, first)
        if self.take("RETURN"):
            inline.result = self.expression()
        return inline

    def _parenthesised(self) -> ast.Expr:
        self.expect("(")
        inner = self.expression()
        self.expect(")")
        return inner

    # -- primaries

    def _primary(self) -> ast.Expr:
        token = self.token
        if token.kind in ("number", "string"):
            self.at += 1
            return ast.Literal(token.value)
        if token.kind == "bind":
            return ast.Literal(self.bind_value(token))
        if token.kind == "datasource":
            return self.data_source()
        if token.kind == "name" or (token.value == "LIKE" and self.peek("(", ahead=1)):
            return self._named()
        if self.take("("):
            return self._group()
        if self.take("["):
            return ast.ArrayOf(self._list("]"))
        if self.take("{"):
            return self._object()
        if token.kind == "keyword" and token.value in ("NULL", "TRUE", "FALSE"):
            self.at += 1
            return ast.Literal({"NULL": None, "TRUE": True, "FALSE": False}[token.value])
        raise self.unexpected()

    def _named(self) -> ast.Expr:
        token = self.token
        self.at += 1
        name = str(token.value)
        while self.take("::"):
            name += "::" + self.name()
        if not self.take("("):
            return ast.Name("CURRENT" if name == "$CURRENT" else name, token.at)
        if self._starts_query():
            args: list[ast.Expr] = [ast.Subquery(self.subquery())]
            self.expect(")")
        else:
            args = self._list(")")
        return ast.Call(name.upper(), args, token.at)

    def _group(self) -> ast.Expr:
        if self._starts_query():
            inner: ast.Expr = ast.Subquery(self.subquery())
        else:
            inner = self.expression()
        self.expect(")")
        return inner

    def _starts_query(self) -> bool:
        return self.peek("FOR", "RETURN", "LET", "INSERT", "UPDATE", "REPLACE", "REMOVE", "UPSERT", "FILTER", "WITH")

    def subquery(self) -> list[ast.Statement]:
        """The statements of a subquery; the statement parser provides it."""
        raise NotImplementedError

    def _list(self, end: str) -> list[ast.Expr]:
        items: list[ast.Expr] = []
        while not self.take(end):
            items.append(self.expression())
            if not self.take(","):
                self.expect(end)
                break
        return items

    def _object(self) -> ast.Expr:
        items: list[tuple[ast.Expr, ast.Expr]] = []
        while not self.take("}"):
            items.append(self._member())
            if not self.take(","):
                self.expect("}")
                break
        return ast.ObjectOf(items)

    def _member(self) -> tuple[ast.Expr, ast.Expr]:
        token = self.token
        if self.take("["):
            key = self.expression()
            self.expect("]")
        elif token.kind == "bind":
            key = ast.Literal(self.bind_value(token))
        elif token.kind in ("name", "string", "keyword"):
            if token.kind == "name" and not self.peek(":", ahead=1):
                self.at += 1
                return ast.Literal(token.value), ast.Name(str(token.value), token.at)
            key = ast.Literal(token.value if token.kind == "string" else self._attribute_name())
            if token.kind == "string":
                self.at += 1
        else:
            raise self.unexpected()
        self.expect(":")
        return key, self.expression()
