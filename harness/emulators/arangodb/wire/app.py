"""The ASGI application: reads a request, checks who asks, finds its handler, and writes the reply."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, unquote

from harness.emulators.arangodb.catalog import SYSTEM
from harness.emulators.arangodb.errors import ArangoError, LockBusyError, NotEmulatedError
from harness.emulators.arangodb.server import Server
from harness.emulators.arangodb.wire.admin import PUBLIC
from harness.emulators.arangodb.wire.call import Call, Handler, Reply
from harness.emulators.arangodb.wire.routes import Router
from harness.emulators.bodies import Receive, TooLargeError, read_body

_LOGGER = logging.getLogger("arangodb")
_BASE_HEADERS = (
    (b"server", b"ArangoDB"),
    (b"x-arango-queue-time-seconds", b"0.000000"),
    (b"cache-control", b"no-cache, no-store, must-revalidate, pre-check=0, post-check=0, max-age=0, s-maxage=0"),
    (b"x-content-type-options", b"nosniff"),
    (b"connection", b"Keep-Alive"),
)
_TRX_WAIT_SECONDS = 8
_RETRY_SECONDS = 0.01
_MAX_BODY = 512 * 1024 * 1024
Send = Callable[[dict[str, Any]], Awaitable[None]]


class App:
    """The server's HTTP interface."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._router = Router()
        self._pool = ThreadPoolExecutor(64, thread_name_prefix="query")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        self._server.requests += 1
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            reply = await self._answer(scope, headers, await read_body(receive, _MAX_BODY))
        except ArangoError as error:
            reply = _error_reply(error)
        except TooLargeError:
            reply = _error_reply(ArangoError(400, "maximal body size exceeded", status=413))
        except RecursionError:
            reply = _error_reply(ArangoError(1524))
        except Exception as error:
            _LOGGER.exception("internal error in %s %s", scope["method"], scope["path"])
            reply = _error_reply(ArangoError(4, f"internal error: {type(error).__name__}"))
        await _respond(send, reply, scope["method"] == "HEAD")

    async def _answer(self, scope: dict[str, Any], headers: dict[str, str], content: bytes) -> Reply:
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        segments, database = [unquote(part) for part in path.split("/") if part], SYSTEM
        if len(segments) > 1 and segments[0] == "_db":
            database, segments = segments[1], segments[2:]
        if self._server.stopping:
            raise ArangoError(30)
        user = self._authorize(segments, headers, database)
        handler, values = self._router.find(scope["method"], segments)
        if headers.get("x-arango-async", "false") in ("store", "true"):
            raise NotEmulatedError("asynchronous jobs (x-arango-async)")
        params = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        home = self._server.catalog.database(database)
        call = Call(self._server, scope["method"], values, params, headers, content, user, home, self._in_thread)
        return await self._run(handler, call)

    def _authorize(self, segments: list[str], headers: dict[str, str], database: str) -> str:
        """The user of a request. Raises ArangoError 11 as 401 for nobody or without a right on the database."""
        if tuple(segments) in PUBLIC:
            return ""
        user = self._server.auth.user(headers.get("authorization", ""))
        about_itself = segments[1:3] == ["user", user]
        if user is None or (not about_itself and self._server.users.right(user, database) == "none"):
            raise ArangoError(11, status=401)
        return user

    async def _run(self, handler: Handler, call: Call) -> Reply:
        """Call the handler, again while another request or an exclusive lock stands in its way and it may wait."""
        began, trx = time.monotonic(), call.headers.get("x-arango-trx-id", "")
        while self._server.streams.busy(trx) and time.monotonic() < began + _TRX_WAIT_SECONDS:
            await asyncio.sleep(_RETRY_SECONDS)
        while True:
            try:
                with self._server.lock:
                    result = handler(call)
                return result if isinstance(result, Reply) else await result
            except LockBusyError:
                if time.monotonic() - began >= call.lock_timeout:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        def locked() -> Any:
            with self._server.lock:
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, locked)


def _error_reply(error: ArangoError) -> Reply:
    extra = {}
    if error.status == 401:
        extra["www-authenticate"] = 'Bearer token_type="JWT", realm="ArangoDB", Basic realm="ArangoDB"'
    if "_rev" in error.extra and error.status == 412:
        extra["etag"] = f'"{error.extra["_rev"]}"'
    return Reply(error.status, error.body(), extra)


async def _respond(send: Send, reply: Reply, head: bool) -> None:
    content = reply.raw
    if content is None:
        content = json.dumps(reply.body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    headers = [*_BASE_HEADERS, (b"content-type", reply.content_type.encode())]
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in reply.headers.items()]
    if reply.status != 304:
        headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head or reply.status == 304 else content})
