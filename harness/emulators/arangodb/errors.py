"""Arango's error numbers, their texts and the HTTP status each is sent with (errors.dat, GeneralResponse.cpp)."""

from __future__ import annotations

from typing import Any

TEXTS = {
    4: "not implemented",
    10: "bad parameter",
    11: "not authorized to execute this request",
    17: "number out of range",
    18: "timeout waiting to lock",
    28: "cannot write-lock, transaction is already in use",
    30: "shutdown in progress",
    32: "query would use more memory than allowed",
    400: "bad parameter",
    404: "unknown path",
    405: "method not supported",
    600: "VPackError error: Expecting '\"' or '}'",
    1004: "server is in read-only mode",
    1005: "duplicate value for `id` or `name`",
    1200: "conflict, _rev values do not match",
    1202: "document not found",
    1203: "collection or view not found",
    1207: "duplicate name",
    1208: "illegal name",
    1212: "index not found",
    1213: "cross collection request not allowed",
    1218: "invalid collection type",
    1221: "illegal document key",
    1222: "unexpected document key",
    1227: "invalid document type",
    1228: "database not found",
    1229: "database name invalid",
    1230: "operation only allowed in system database",
    1232: "invalid key generator type",
    1233: "edge attribute missing or invalid",
    1500: "query killed",
    1502: "query is empty",
    1569: "FAIL() called",
    1579: "access after data-modification",
    1591: "query not found",
    1600: "cursor not found",
    1601: "cursor is busy",
    1621: "invalid schema",
    1653: "disallowed transaction operation",
    1654: "transaction was aborted",
    1702: "duplicate user",
    1703: "user not found",
    1920: "edge collection already used in graph",
    1921: "edge collection used in graph with different definition",
    1924: "graph not found",
    1925: "graph already exists",
    1926: "vertex collection does not exist or is not part of the graph",
    1928: "collection is not in list of orphan collections",
    1930: "edge collection not used in graph",
    1938: "collection is already in list of orphan collections",
}

_GRAPH_404 = (1924, 1926, 1930, 1932, 1947, 1949)
_BY_STATUS: dict[int, tuple[int, ...]] = {
    401: (401,),
    403: (11, 1004, 1230),
    404: (404, 1202, 1203, 1212, 1228, 1238, 1570, 1571, 1582, 1591, 1600, 1655, 1703, 1852, *_GRAPH_404),
    405: (405,),
    409: (1200, 1207, 1210, 1601, 1702, 1851, 1925),
    410: (21, 1500, 1654),
    412: (21004,),
    500: (3, 4, 18, 28, 29, 32, 1225, 1457, 1650),
    501: (9, 31, 1470, 1471),
    503: (30, 38, 503, 1478, 1495, 1496, 1465, 21003),
}
_STATUS = {number: status for status, numbers in _BY_STATUS.items() for number in numbers}


class ArangoError(Exception):
    """A request that fails with `number`; `status` overrides the usual one, `extra` joins the error body."""

    def __init__(self, number: int, message: str = "", *, status: int = 0, extra: dict[str, Any] | None = None) -> None:
        super().__init__(message or TEXTS.get(number, f"error {number}"))
        self.number = number
        self.status = status or _STATUS.get(number, 400)
        self.extra = extra or {}

    def body(self) -> dict[str, Any]:
        """The error object as sent to clients."""
        facts = {"code": self.status, "error": True, "errorMessage": str(self), "errorNum": self.number}
        return {**facts, **self.extra}

    def item(self) -> dict[str, Any]:
        """The error as one item of an array answer."""
        return {"error": True, "errorNum": self.number, "errorMessage": str(self), **self.extra}


class LockBusyError(ArangoError):
    """A collection is locked exclusively by another transaction: the caller may wait and try again."""

    def __init__(self) -> None:
        super().__init__(18, "timeout waiting to lock key")


class NotEmulatedError(ArangoError):
    """An operation the real server has and this one does not: 501, naming the operation."""

    def __init__(self, operation: str) -> None:
        super().__init__(9, f"not emulated: {operation}", status=501)
