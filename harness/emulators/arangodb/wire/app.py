"""The ASGI application: reads a request, finds its route, checks who asks, and writes the reply."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, unquote

from harness.emulators.arangodb.catalog import SYSTEM
from harness.emulators.arangodb.errors import ArangoError, LockBusyError, NotEmulatedError
from harness.emulators.arangodb.server import Server
from harness.emulators.arangodb.wire import (
    admin,
    collections,
    cursors,
    databases,
    documents,
    edges,
    gharial,
    imports,
    indexes,
    transactions,
    users,
)
from harness.emulators.arangodb.wire.call import Call, Handler, Reply

_MODULES = (admin, collections, cursors, databases, documents, edges, gharial, imports, indexes, transactions, users)
_NOT_EMULATED_TEXT = """
    view analyzer job wal replication foxx aqlfunction query-cache query-plan-cache token cluster tasks simple
    endpoint log license shutdown execute backup options jwt tls encryption target-version compact routing echo
    crashes support-info
"""
_NOT_EMULATED = frozenset(_NOT_EMULATED_TEXT.split())
_LOGGER = logging.getLogger("arangodb")
_BASE_HEADERS = (
    (b"server", b"ArangoDB"),
    (b"x-arango-queue-time-seconds", b"0.000000"),
    (b"cache-control", b"no-cache, no-store, must-revalidate, pre-check=0, post-check=0, max-age=0, s-maxage=0"),
    (b"expires", b"0"),
    (b"pragma", b"no-cache"),
    (b"content-security-policy", b"frame-ancestors 'self'; form-action 'self';"),
    (b"x-content-type-options", b"nosniff"),
    (b"connection", b"Keep-Alive"),
)
_TRX_WAIT_SECONDS = 8
_MAX_BODY = 512 * 1024 * 1024
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Router:
    """Finds handlers by method and path segments; `{name}` in a route's path takes one segment."""

    def __init__(self, tables: tuple[Mapping[str, Handler], ...]) -> None:
        self._routes: dict[tuple[str, int], list[tuple[list[str], str, Handler]]] = {}
        for table in tables:
            for route, handler in table.items():
                method, _, path = route.partition(" ")
                parts = path.strip("/").split("/")
                self._routes.setdefault((parts[1], len(parts)), []).append((parts, method, handler))

    def find(self, method: str, segments: list[str]) -> tuple[Handler, dict[str, str]]:
        """The handler and the path's values. Raises ArangoError 404, 405 or NotEmulatedError."""
        second = segments[1] if len(segments) > 1 else ""
        known = False
        for parts, verb, handler in self._routes.get((second, len(segments)), ()):
            pairs = list(zip(parts, segments, strict=True))
            if all(part == segment or part[0] == "{" for part, segment in pairs):
                known = True
                if verb == method:
                    return handler, {part[1:-1]: segment for part, segment in pairs if part[0] == "{"}
        path = "/" + "/".join(segments)
        if known:
            raise ArangoError(405, f"method '{method}' not supported for '{path}'")
        if second in _NOT_EMULATED or (len(segments) > 2 and segments[2] in _NOT_EMULATED):
            raise NotEmulatedError(f"{method} {path}")
        raise ArangoError(404, f"unknown path '{path}'")


class App:
    """The server's HTTP interface."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._router = Router(tuple(module.ROUTES for module in _MODULES))
        self._pool = ThreadPoolExecutor(64, thread_name_prefix="query")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        self._server.requests += 1
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            content = await _body(receive)
            reply = await self._answer(scope, headers, content)
        except ArangoError as error:
            reply = _error_reply(error, headers)
        except Exception as error:
            _LOGGER.exception("internal error in %s %s", scope["method"], scope["path"])
            reply = _error_reply(ArangoError(4, f"internal error: {type(error).__name__}"), headers)
        await _respond(send, reply, scope["method"] == "HEAD")

    async def _answer(self, scope: dict[str, Any], headers: dict[str, str], content: bytes) -> Reply:
        raw = scope["raw_path"].decode("latin-1").partition("?")[0]
        segments = [unquote(part) for part in raw.split("/") if part]
        database = SYSTEM
        if len(segments) > 1 and segments[0] == "_db":
            database, segments = segments[1], segments[2:]
        if self._server.stopping:
            raise ArangoError(30)
        user = self._authorize(segments, headers, database)
        handler, values = self._router.find(scope["method"], segments)
        if headers.get("x-arango-async", "false") in ("store", "true"):
            raise NotEmulatedError("asynchronous jobs (x-arango-async)")
        params = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        call = Call(
            self._server, scope["method"], raw, values, params, headers, content, user,
            self._server.catalog.database(database), self._in_thread,
        )  # fmt: skip
        await self._wait_for_stream(headers.get("x-arango-trx-id", ""))
        return await self._run(handler, call)

    def _authorize(self, segments: list[str], headers: dict[str, str], database: str) -> str:
        """The user of a request. Raises ArangoError 11 as 401 for nobody or without a right on the database."""
        if tuple(segments) in admin.PUBLIC:
            return ""
        user = self._server.auth.user(headers.get("authorization", ""))
        if user is None:
            raise ArangoError(11, status=401)
        own = segments[1:3] == ["user", user]
        blind = self._server.users.database_right(user, database) == "none"
        if self._server.auth.required and not own and blind:
            raise ArangoError(11, status=401)
        return user

    async def _wait_for_stream(self, ident: str) -> None:
        deadline = time.monotonic() + _TRX_WAIT_SECONDS
        while ident and time.monotonic() < deadline:
            try:
                if not self._server.streams.get(ident).busy:
                    return
            except ArangoError:
                return
            await asyncio.sleep(0.01)

    async def _run(self, handler: Handler, call: Call) -> Reply:
        """Call the handler, again while an exclusive lock stands in its way and it may wait."""
        began = time.monotonic()
        while True:
            try:
                with self._server.lock:
                    result = handler(call)
                return result if isinstance(result, Reply) else await result
            except LockBusyError:
                if time.monotonic() - began >= call.lock_timeout:
                    raise
            await asyncio.sleep(0.01)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        def locked() -> Any:
            with self._server.lock:
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, locked)


async def _body(receive: Receive) -> bytes:
    message = await receive()
    content: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        content += message.get("body", b"")
        if len(content) > _MAX_BODY:
            raise ArangoError(400, "maximal body size exceeded", status=413)
    return content


def _error_reply(error: ArangoError, headers: dict[str, str]) -> Reply:
    extra = {}
    if error.status == 401 and "x-omit-www-authenticate" not in headers:
        extra["www-authenticate"] = 'Bearer token_type="JWT", realm="ArangoDB", Basic realm="ArangoDB"'
    if "_rev" in error.extra and error.status == 412:
        extra["etag"] = f'"{error.extra["_rev"]}"'
    return Reply(error.status, error.body(), extra)


async def _respond(send: Send, reply: Reply, head: bool) -> None:
    if reply.raw is not None:
        content = reply.raw
    else:
        content = json.dumps(reply.body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    headers = [*_BASE_HEADERS, (b"content-type", reply.content_type.encode())]
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in reply.headers.items()]
    if reply.status not in (204, 304):
        headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head or reply.status in (204, 304) else content})
