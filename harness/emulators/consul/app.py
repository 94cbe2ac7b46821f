"""Consul's HTTP conventions, apart from any endpoint: routing, 405, 501, query options, blocking, errors.

Sources: the API pages on blocking queries, consistency and filtering; header spelling and bodies captured from 1.8.7.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from harness.emulators.go_durations import parse_seconds
from harness.emulators.runner import note

from . import api_agent, api_catalog, api_cluster, api_kv, api_session
from .acl import ANONYMOUS
from .errors import ConsulError, PermissionDenied, bad_request, not_emulated
from .http import Answer, Endpoint, Request, Routes
from .server import Server

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
WAIT_DEFAULT, WAIT_MAX, JITTER = 300.0, 600.0, 16
INDEX_HEADERS = "X-Consul-Index", "X-Consul-Knownleader", "X-Consul-Lastcontact"
FAMILIES = "acl agent catalog config connect coordinate discovery-chain event health internal kv operator query session"
"""First words of the real API's paths: what is below one of them and in no table answers 501."""
METHOD_GAPS = frozenset({"GET /v1/acl/token/", "PUT /v1/acl/token/"})
"""What the real API has on a path that is here for other methods: 501 too, and not 405."""


def all_routes() -> Routes:
    """Every emulated path with its methods."""
    parts = (api_kv, api_session, api_catalog, api_agent, api_cluster)
    return {path: methods for part in parts for path, methods in part.ROUTES.items()}


class App:
    """The ASGI application of one server."""

    def __init__(self, server: Server) -> None:
        self._server, self._routes = server, all_routes()
        self._gaps = tuple(f"/v1/{family}" for family in FAMILIES.split())
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        server.store.on_change = self._changed

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        raw = scope["raw_path"].decode("latin-1")
        path = unquote(raw, errors="surrogateescape")
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
        query = dict(reversed(pairs))
        secret = query.get("token") or headers.get("x-consul-token") or headers.get("authorization", "")[7:].strip()
        try:
            _verify_path(raw)
            rest, endpoint = self._find(scope["method"], path)
            body = await self._body(endpoint, receive)
            tags = [value for name, value in pairs if name == "tag"]
            _verify_options(query)
            request = Request(self._server, rest, query, tags, body, secret, self._server.acl.authorizer(secret))
            answer = await self._run(endpoint, request, receive)
        except ConsulError as error:
            answer = Answer(text=self._worded(error, secret) or None, empty=not str(error), status=error.status)
            answer.headers |= error.headers
        await self._send(answer, path, "pretty" in query, send, head=scope["method"] == "HEAD")

    def _find(self, method: str, path: str) -> tuple[str, Endpoint]:
        if "//" in path or {".", ".."} & set(path.split("/")):
            raise not_emulated(f"redirecting to the clean form of {path}")
        base = path
        while base and base not in self._routes:
            base = base[: base.rstrip("/").rfind("/") + 1]
        if not base:
            profile = self._server.settings.profile
            raise not_emulated(path) if path.startswith(self._gaps) else ConsulError(profile.unknown_path(path), 404)
        methods = self._routes[base]
        allow = {"Allow": ",".join(["OPTIONS", *methods])}
        if method == "OPTIONS":
            return "", Endpoint(lambda _: Answer(empty=True, headers=allow))
        if f"{method} {base}" in METHOD_GAPS:
            raise not_emulated(f"{method} {path}")
        if method not in methods:
            raise ConsulError(f"method {method} not allowed", 405, allow)
        note("consul", f"{method} {base}")
        return path[len(base) :], methods[method]

    async def _body(self, endpoint: Endpoint, receive: Receive) -> bytes:
        limit = getattr(self._server.settings, endpoint.limit) if endpoint.limit else 0
        body, size, more = bytearray(), 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConsulError("unexpected EOF")
            size += len(message.get("body", b""))
            if not limit or size <= limit:
                body += message.get("body", b"")
            more = message.get("more_body", False)
        if limit and size > limit:
            see = f"{self._server.settings.profile.limits_url}{endpoint.limit}."
            text = f"Request body({size} bytes) too large, max size: {limit} bytes. See {see}"
            raise ConsulError(text, 413, {"Connection": "close"})
        return bytes(body)

    async def _run(self, endpoint: Endpoint, request: Request, receive: Receive) -> Answer:
        minimum, wait = _blocking_options(request.query) if endpoint.watch else (0, 0.0)
        if not endpoint.unordered and request.query.get("dc", "") not in {"", self._server.settings.datacenter}:
            raise ConsulError("No path to datacenter")
        answer = endpoint.run(request)
        if minimum and answer.index is not None and not _fresh(endpoint, answer.index, minimum):
            answer = await self._blocking(endpoint, request, minimum, wait, receive)
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
        timers = self._server.timers
        deadline = timers.now() + wait + self._server.rng.uniform(0, wait / JITTER)
        gone = asyncio.ensure_future(receive())
        try:
            while (left := deadline - timers.now()) > 0 and await self._change(endpoint.watch, left, gone):
                answer = endpoint.run(request)
                if _fresh(endpoint, answer.index or 0, minimum):
                    return answer
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

    def _worded(self, error: ConsulError, secret: str) -> str:
        if not isinstance(error, PermissionDenied) or not self._server.settings.profile.modern:
            return str(error)
        accessor = self._server.acl.token_of(secret or "anonymous").accessor_id
        who = "anonymous token" if accessor == ANONYMOUS else f"token with AccessorID '{accessor}'"
        lacks = f"Permission denied: {who} lacks permission '{error.resource}:{error.access}'"
        lacks += f' on "{error.name}"' if error.name else ""
        hint = ". The anonymous token is used implicitly when a request does not specify a token."
        return lacks + (hint if accessor == ANONYMOUS else "")

    async def _send(self, answer: Answer, path: str, pretty: bool, send: Send, *, head: bool) -> None:
        content_type, body = answer.content(pretty or self._server.settings.dev)
        headers = {"Content-Type": content_type, **answer.headers} if content_type else dict(answer.headers)
        if path.startswith("/v1/"):
            headers["Vary"] = "Accept-Encoding"
            if self._server.settings.profile.modern:
                headers["X-Consul-Default-Acl-Policy"] = self._server.acl.default_policy
        headers["Content-Length"] = str(len(body))
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if head else body})


def _verify_path(raw: str) -> None:
    """What Go's server and then Consul refuse: a broken escape, a character that cannot be printed."""
    if re.search("%(?![0-9A-Fa-f]{2})", raw):
        raise ConsulError("400 Bad Request", 400, {"Connection": "close"})
    if not unquote(raw).isprintable():
        raise ConsulError("", 400)


def _verify_options(query: Mapping[str, str]) -> None:
    if "stale" in query and "consistent" in query:
        raise bad_request("Cannot specify ?stale with ?consistent, conflicting semantics.")
    for gap in ("ns", "partition", "peer", "cached", "near"):
        if query.get(gap):
            raise not_emulated(f"query option ?{gap}")


def _blocking_options(query: Mapping[str, str]) -> tuple[int, float]:
    index, wait = query.get("index", ""), query.get("wait", "")
    if index and not (index.isascii() and index.isdigit() and len(index) < 21 and int(index) < 2**64):
        raise bad_request("Invalid index")
    try:
        seconds = parse_seconds(wait) if wait else 0.0
    except ValueError:
        raise bad_request("Invalid wait time") from None
    return int(index or 0), min(seconds or WAIT_DEFAULT, WAIT_MAX)


def _fresh(endpoint: Endpoint, index: int, minimum: int) -> bool:
    return index != minimum if endpoint.unordered else index > minimum
