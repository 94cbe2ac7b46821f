"""Consul's HTTP conventions, apart from any endpoint: routing, 405 and OPTIONS, query options, blocking, errors.

Sources: the API pages on blocking queries, consistency and filtering; header spelling and bodies captured from 1.8.7.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from harness.emulators.go_durations import SECOND, parse_duration

from .acl import ANONYMOUS
from .errors import ConsulError, PermissionDenied, bad_request, not_emulated
from .http import Answer, Endpoint, Request, Routes, encode
from .server import Server

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
WAIT_DEFAULT, WAIT_MAX, JITTER = 300.0, 600.0, 16
INDEX_HEADERS = "X-Consul-Index", "X-Consul-Knownleader", "X-Consul-Lastcontact"
_MOVED_PAGE = '<a href="{}">Moved Permanently</a>.\n\n'


class App:
    """The ASGI application. `not_emulated_paths` are real endpoints that answer 501."""

    def __init__(self, server: Server, routes: Routes, not_emulated_paths: tuple[str, ...]) -> None:
        self._server, self._routes, self._gaps = server, routes, not_emulated_paths
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        server.store.on_change = self._changed

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        path = unquote(scope["raw_path"].decode("latin-1"), errors="surrogateescape")
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        answer = await self._answer(scope, path, headers, receive)
        await self._send(answer, scope["method"], path, scope["query_string"], send)

    async def _answer(self, scope: dict[str, Any], path: str, headers: dict[str, str], receive: Receive) -> Answer:
        method = scope["method"]
        clean = _clean(path)
        if clean == "/":
            return _moved("/ui/", method)
        base, endpoints = self._find(clean)
        if clean != path or (endpoints is None and f"{path}/" in self._routes):
            target = quote(clean if clean != path else f"{path}/", errors="surrogateescape")
            query = scope["query_string"].decode("latin-1")
            return _moved(target + (f"?{query}" if query else ""), method)
        if endpoints is None:
            return self._unknown(path)
        if method not in endpoints:
            allow = {"Allow": ",".join(["OPTIONS", *endpoints])}
            if method == "OPTIONS":
                return Answer(empty=True, headers=allow)
            return Answer(text=f"method {method} not allowed", status=405, headers=allow)
        return await self._run(endpoints[method], scope, path[len(base) :], headers, receive)

    def _find(self, path: str) -> tuple[str, Mapping[str, Endpoint] | None]:
        if path in self._routes:
            return path, self._routes[path]
        base = path
        while base:
            base = base[: base.rstrip("/").rfind("/") + 1]
            if base in self._routes:
                return base, self._routes[base]
            if base == "/":
                break
        return "", None

    def _unknown(self, path: str) -> Answer:
        if path.startswith(self._gaps):
            return Answer(text=str(not_emulated(path)), status=501)
        text = self._server.settings.profile.unknown_path(path)
        return Answer(text=text or None, empty=not text, status=404)

    # -- one endpoint -----------------------------------------------------------------------------------------------

    async def _run(
        self, endpoint: Endpoint, scope: dict[str, Any], rest: str, headers: dict[str, str], receive: Receive
    ) -> Answer:
        try:
            body = await self._body(endpoint, receive)
            pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
            queries: dict[str, list[str]] = {}
            for name, value in pairs:
                queries.setdefault(name, []).append(value)
            query = {name: values[0] for name, values in queries.items()}
            _verify_options(query)
            secret = _secret(query, headers)
            authorizer = self._server.acl.authorizer(secret)
            request = Request(self._server, scope["method"], rest, query, queries, body, secret, authorizer)
            if not endpoint.watch:
                self._verify_datacenter(query)
                return endpoint.run(request)
            return await self._read(endpoint, request, receive)
        except ConsulError as error:
            return Answer(text=self._worded(error, headers), status=error.status, headers=error.headers)

    async def _body(self, endpoint: Endpoint, receive: Receive) -> bytes:
        limit = getattr(self._server.settings, endpoint.limit) if endpoint.limit else 0
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            if not limit or size <= limit:
                chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        if limit and size > limit:
            see = f"{self._server.settings.profile.limits_url}{endpoint.limit}."
            text = f"Request body({size} bytes) too large, max size: {limit} bytes. See {see}"
            raise ConsulError(text, 413, {"Connection": "close"})
        return b"".join(chunks)

    def _verify_datacenter(self, query: Mapping[str, str]) -> None:
        if query.get("dc", "") not in {"", self._server.settings.datacenter}:
            raise ConsulError("No path to datacenter")

    async def _read(self, endpoint: Endpoint, request: Request, receive: Receive) -> Answer:
        minimum, wait = _blocking_options(request.query)
        try:
            if not endpoint.unordered:
                self._verify_datacenter(request.query)
            answer = await self._blocking(endpoint, request, minimum, wait, receive)
        except ConsulError as error:
            if endpoint.meta_on_error and error.status not in {400, 401, 404}:
                error.headers |= dict(zip(INDEX_HEADERS, ("1", "false", "0"), strict=True))
            raise
        if answer.index is not None:
            answer.headers |= self._meta(endpoint, request, answer.index)
        return answer

    def _meta(self, endpoint: Endpoint, request: Request, index: int) -> dict[str, str]:
        if endpoint.unordered:
            return {INDEX_HEADERS[0]: str(index)}
        if "index-backwards" in self._server.defects and "kvs" in endpoint.watch and index % 7 == 0:
            index = max(1, index - 10)
        meta = dict(zip(INDEX_HEADERS, (str(max(1, index)), "true", "0"), strict=True))
        modern = self._server.settings.profile.modern
        if endpoint.consistency or modern:
            level = next((name for name in ("stale", "consistent") if name in request.query), "leader")
            meta["X-Consul-Effective-Consistency"] = level
        if modern:
            meta["X-Consul-Query-Backend"] = "blocking-query"
            if request.authorizer.filtered:
                meta["X-Consul-Results-Filtered-By-Acls"] = "true"
        return meta

    async def _blocking(
        self, endpoint: Endpoint, request: Request, minimum: int, wait: float, receive: Receive
    ) -> Answer:
        answer = endpoint.run(request)
        if not minimum or answer.index is None or _fresh(endpoint, answer.index, minimum):
            return answer
        timers = self._server.timers
        deadline = timers.now() + wait + self._server.rng.uniform(0, wait / JITTER)
        gone = asyncio.ensure_future(receive())
        try:
            while not _fresh(endpoint, answer.index or 0, minimum):
                left = deadline - timers.now()
                if left <= 0 or not await self._change(endpoint.watch, left, gone):
                    break
                answer = endpoint.run(request)
            return endpoint.run(request)
        finally:
            gone.cancel()

    async def _change(self, tables: tuple[str, ...], seconds: float, gone: asyncio.Future[Any]) -> bool:
        """Wait for a change of one of the tables; False when time is up or the client left."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for table in tables:
            self._waiting.setdefault(table, set()).add(woken)
        try:
            done, _ = await asyncio.wait({woken, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return woken in done and gone not in done
        finally:
            for table in tables:
                self._waiting.get(table, set()).discard(woken)

    def _changed(self, table: str) -> None:
        if "blocking-never-wakes" in self._server.defects:
            return
        for woken in self._waiting.pop(table, ()):
            if not woken.done():
                woken.set_result(None)

    # -- out ----------------------------------------------------------------------------------------------------------

    def _worded(self, error: ConsulError, headers: Mapping[str, str]) -> str:
        if not isinstance(error, PermissionDenied) or not self._server.settings.profile.modern:
            return str(error)
        token = self._server.acl.token_of(_secret({}, headers) or "anonymous")
        anonymous = token.accessor_id == ANONYMOUS
        who = "anonymous token" if anonymous else f"token with AccessorID '{token.accessor_id}'"
        lacks = f"Permission denied: {who} lacks permission '{error.resource}:{error.access}'"
        lacks += f' on "{error.name}"' if error.name else ""
        hint = ". The anonymous token is used implicitly when a request does not specify a token."
        return lacks + (hint if anonymous else "")

    async def _send(self, answer: Answer, method: str, path: str, query: bytes, send: Send) -> None:
        content_type, body = self._content(answer, b"pretty" in query)
        headers = dict(answer.headers)
        if content_type:
            headers.setdefault("Content-Type", content_type)
        if path.startswith("/v1/"):
            headers["Vary"] = "Accept-Encoding"
            if self._server.settings.profile.modern:
                headers["X-Consul-Default-Acl-Policy"] = self._server.acl.default_policy
        headers["Content-Length"] = str(len(body))
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    def _content(self, answer: Answer, pretty: bool) -> tuple[str, bytes]:
        if answer.empty:
            return "", b""
        if answer.raw is not None:
            return "", answer.raw
        if answer.text is not None:
            return "text/plain; charset=utf-8", answer.text.encode("utf-8", "replace")
        return "application/json", encode(answer.json, pretty=pretty or self._server.settings.dev)


def _clean(path: str) -> str:
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def _moved(target: str, method: str) -> Answer:
    headers = {"Location": target}
    if method not in {"GET", "HEAD"}:
        return Answer(status=301, headers=headers, empty=True)
    page = _MOVED_PAGE.format(target).encode()
    return Answer(status=301, headers=headers | {"Content-Type": "text/html; charset=utf-8"}, raw=page)


def _secret(query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    bearer = headers.get("authorization", "")
    given = bearer[7:].strip() if bearer.lower().startswith("bearer ") else ""
    return query.get("token") or headers.get("x-consul-token") or given


def _verify_options(query: Mapping[str, str]) -> None:
    if "stale" in query and "consistent" in query:
        raise bad_request("Cannot specify ?stale with ?consistent, conflicting semantics.")
    if query.get("ns"):
        text = 'Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'
        raise bad_request(f"Bad request: {text}")


def _blocking_options(query: Mapping[str, str]) -> tuple[int, float]:
    index, wait = query.get("index", ""), query.get("wait", "")
    if index and not (index.isascii() and index.isdigit()):
        raise bad_request("Invalid index")
    try:
        seconds = parse_duration(wait) / SECOND if wait else 0.0
    except ValueError:
        raise bad_request("Invalid wait time") from None
    return int(index or 0), min(seconds or WAIT_DEFAULT, WAIT_MAX)


def _fresh(endpoint: Endpoint, index: int, minimum: int) -> bool:
    # The index of events is made of an id, so it can only be compared for being another one.
    return index != minimum if endpoint.unordered else index > minimum
