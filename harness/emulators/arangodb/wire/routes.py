"""Which handler answers which request, and which of the real server's requests none does."""

from __future__ import annotations

from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
from harness.emulators.arangodb.wire import (
    admin,
    collections,
    cursors,
    databases,
    documents,
    gharial,
    imports,
    transactions,
    users,
)
from harness.emulators.arangodb.wire.call import Handler
from harness.emulators.runner import note

_MODULES = (admin, collections, cursors, databases, documents, gharial, imports, transactions, users)
_NOT_EMULATED = """
    DELETE /_api/gharial/{graph}/vertex/{collection}
    DELETE /_api/query/slow
    GET /_api/query/properties
    GET /_api/query/rules
    GET /_api/query/slow
    POST /_api/transaction
    PUT /_api/gharial/{graph}/edge/{collection}
    PUT /_api/query/properties
"""
_FAMILIES_TEXT = """
    analyzer aqlfunction backup batch cluster compact crashes database echo encryption endpoint engine execute foxx job
    jwt key-generators license log options query query-cache query-plan-cache replication routing server shutdown simple
    statistics status support-info target-version tasks time tls token version view wal
"""
_FAMILIES = frozenset(_FAMILIES_TEXT.split())
"""Parts of the real API that have paths which are not emulated, beside those of collections."""
Parts = tuple[str, ...]


class Router:
    """Finds handlers by method and path segments; `{name}` in a route's path takes one segment."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, int], list[tuple[Parts, str, Handler | None]]] = {}
        absent: dict[str, Handler | None] = {line.strip(): None for line in _NOT_EMULATED.strip().splitlines()}
        for table in (absent, *(module.ROUTES for module in _MODULES)):
            for route, handler in table.items():
                method, _, path = route.partition(" ")
                parts = tuple(path.strip("/").split("/"))
                self._routes.setdefault((parts[1], len(parts)), []).append((parts, method, handler))

    def operations(self) -> list[str]:
        """Every route that has a handler."""
        entries = (entry for group in self._routes.values() for entry in group)
        return [f"{method} /{'/'.join(parts)}" for parts, method, handler in entries if handler]

    def find(self, method: str, segments: list[str]) -> tuple[Handler, dict[str, str]]:
        """The handler and the path's values. Raises ArangoError 404, 405 or NotEmulatedError."""
        path, family = "/" + "/".join(segments), segments[1] if len(segments) > 1 else ""
        is_known = False
        for parts, verb, handler in self._routes.get((family, len(segments)), ()):
            pairs = list(zip(parts, segments, strict=True))
            if all(part == segment or part[0] == "{" for part, segment in pairs):
                is_known = True
                if verb == method and handler is None:
                    raise NotEmulatedError(f"{method} {path}")
                if verb == method and handler is not None:
                    note("arangodb", f"{method} /{'/'.join(parts)}")
                    return handler, {part[1:-1]: segment for part, segment in pairs if part[0] == "{"}
        if is_known:
            raise ArangoError(405, f"method '{method}' not supported for '{path}'")
        if family in _FAMILIES or (family == "collection" and len(segments) > 3):
            raise NotEmulatedError(f"{method} {path}")
        raise ArangoError(404, f"unknown path '{path}'")
