"""Arango's error numbers, their texts and the HTTP status each is sent with (errors.dat, GeneralResponse.cpp)."""

from __future__ import annotations

from typing import Any

_TEXTS = {
    10: "bad parameter",
    11: "not authorized to execute this request",
    30: "shutdown in progress",
    600: "VPackError error: Expecting '\"' or '}'",
    1004: "server is in read-only mode",
    1005: "duplicate value for `id` or `name`",
    1200: "conflict, _rev values do not match",
    1202: "document not found",
    1212: "index not found",
    1213: "forbidden",
    1218: "invalid collection type",
    1221: "illegal document key",
    1222: "unexpected document key",
    1227: "invalid document type",
    1228: "database not found",
    1230: "operation only allowed in system database",
    1232: "invalid key generator type",
    1233: "edge attribute missing or invalid",
    1500: "query killed",
    1502: "query is empty",
    1524: "too much nesting or too many objects",
    1591: "query not found",
    1600: "cursor not found",
    1621: "invalid schema",
    1702: "duplicate user",
    1703: "user not found",
    1920: "edge collection already used in graph",
    1921: "edge collection used in graph with different definition",
    1925: "graph already exists",
    1938: "collection is already in list of orphan collections",
}
_BY_STATUS: dict[int, tuple[int, ...]] = {
    401: (401,),
    403: (11, 1004, 1230),
    404: (404, 1202, 1203, 1212, 1228, 1591, 1600, 1655, 1703, 1924, 1926, 1930, 1947, 1949),
    405: (405,),
    409: (1200, 1207, 1210, 1702, 1925),
    410: (1500, 1654),
    500: (4, 18, 28, 32),
    501: (9,),
    503: (30,),
}
_STATUS = {number: status for status, numbers in _BY_STATUS.items() for number in numbers}


class ArangoError(Exception):
    """A request that fails with `number`; `status` overrides the usual one, `extra` joins the body of a single one."""

    def __init__(self, number: int, message: str = "", *, status: int = 0, extra: dict[str, Any] | None = None) -> None:
        super().__init__(message or _TEXTS.get(number, f"error {number}"))
        self.number = number
        self.status = status or _STATUS.get(number, 400)
        self.extra = extra or {}

    def body(self) -> dict[str, Any]:
        """The error object as sent to clients."""
        return {"code": self.status, **self.item(), **self.extra}

    def item(self) -> dict[str, Any]:
        """The error as one item of an array answer."""
        return {"error": True, "errorNum": self.number, "errorMessage": str(self)}


class LockBusyError(ArangoError):
    """A collection is locked exclusively by another transaction: the caller may wait and try again."""

    def __init__(self) -> None:
        super().__init__(18, "timeout waiting to lock key")


class NotEmulatedError(ArangoError):
    """An operation the real server has and this one does not: 501, naming the operation."""

    def __init__(self, operation: str) -> None:
        super().__init__(9, f"not emulated: {operation}")
