"""The wire: ASGI in, a route table, Grafana's headers and error bodies out. Knows nothing of what the routes do."""

from __future__ import annotations

import inspect
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from harness.emulators.bodies import TooLargeError, read_body
from harness.emulators.runner import note

from .auth import Auth, Identity, require
from .errors import GrafanaError, not_emulated, plain
from .inputs import read_object
from .site import Faults

MAX_BODY = 25 * 1024 * 1024
JSON = "application/json; charset=UTF-8"
_COMMON = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"deny"),
    (b"x-xss-protection", b"1; mode=block"),
]
NOBODY = Identity(0, "", "None")
log = logging.getLogger("context")


@dataclass
class Request:
    """One request; `params` come from the route's pattern, `who` from its credentials."""

    method: str
    path: str
    raw_query: str
    headers: dict[str, str]
    body: bytes
    params: dict[str, str] = field(default_factory=dict)
    who: Identity = NOBODY

    def __getitem__(self, name: str) -> str:
        """A parameter of the route's pattern."""
        return self.params[name]

    @property
    def org(self) -> int:
        """The organization this request is about."""
        return self.who.org

    @property
    def queries(self) -> dict[str, list[str]]:
        """Query parameters, each with all its values."""
        return parse_qs(self.raw_query)

    @property
    def query(self) -> dict[str, str]:
        """Query parameters, the first value of each."""
        return {name: values[0] for name, values in self.queries.items()}

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises 400."""
        return read_object(self.body)

    def cookie(self, name: str) -> str:
        """A cookie's value, or ""."""
        pairs = (part.strip().partition("=") for part in self.headers.get("cookie", "").split(";"))
        return next((value for key, _, value in pairs if key == name), "")


@dataclass
class Reply:
    """An answer whose body is ready; most handlers return plain JSON values instead."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


Handler = Callable[[Request], Any]


@dataclass(frozen=True)
class Route:
    """`path` is `METHOD /pattern`, `*` any method. `permission` None: open to all; "": signed in; else what RBAC asks.

    `role` is the lowest that holds the permission; `status` that of a success.
    """

    path: str
    permission: str | None
    role: str
    handler: Handler
    status: int = 200

    @property
    def method(self) -> str:
        """The verb, `*` for any."""
        return self.path.partition(" ")[0]

    @property
    def pattern(self) -> str:
        """The path."""
        return self.path.partition(" ")[2]


class Router:
    """Finds the route of a request; `{name}` is one segment, a final `*` the rest."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route.method, _pattern(route.pattern), route) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The first route that fits, with its parameters; `path` is still escaped, and its `rest` stays so."""
        for verb, pattern, route in self._routes:
            if verb in {method, "*"} or (method == "HEAD" and verb == "GET"):
                match = pattern.fullmatch(path.rstrip("/"))
                if match:
                    found = match.groupdict().items()
                    return route, {name: text if name == "rest" else unquote(text) for name, text in found}
        return None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)).replace(r"\*", "(?P<rest>.*)"))


class App:
    """The ASGI application. `seen` counts answers by (handler, method, status) for /metrics."""

    def __init__(self, auth: Auth, routes: Iterable[Route], families: frozenset[str], defects: Faults) -> None:
        self._auth, self._router, self._families, self._defects = auth, Router(routes), families, defects
        self.seen: Counter[tuple[str, str, int]] = Counter()
        self.seconds = 0.0

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Serve one request."""
        started, path = time.perf_counter(), scope.get("raw_path", b"/").decode("latin-1").partition("?")[0]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(scope["method"], path, scope["query_string"].decode("latin-1"), headers, b"")
        found = self._router.find(request.method, path)
        reply = await self._answer(request, found, receive)
        handler = found[0].pattern if found else "notfound"
        self.seen[handler, request.method, reply.status] += 1
        self.seconds += time.perf_counter() - started
        await _send(send, reply, request.method == "HEAD")

    async def _answer(self, request: Request, found: tuple[Route, dict[str, str]] | None, receive: Any) -> Reply:
        try:
            request.body = await read_body(receive, MAX_BODY)
            if found is None:
                return self._unknown(request)
            route, request.params = found
            note("grafana", route.path)
            if route.permission is not None:
                request.who = self._identify(request)
            if route.permission:
                require(request.who, route.role, route.permission, self._defects)
            result = route.handler(request)
            if inspect.isawaitable(result):
                result = await result
        except TooLargeError:
            return json_reply(413, {"message": "http: request body too large"})
        except GrafanaError as error:
            return json_reply(error.status, error.body)
        except Exception:
            # A fault of this program: logged with its trace and answered, as Grafana's recovery middleware does.
            log.exception("Request error %s %s", request.method, request.path)
            return json_reply(
                500,
                {"message": "Internal Server Error - Check the Grafana server logs for the detailed error message."},
            )
        return result if isinstance(result, Reply) else json_reply(route.status, result)

    def _identify(self, request: Request) -> Identity:
        if request.headers.get("x-grafana-org-id", "1") != "1":
            raise not_emulated("organizations other than the first")
        who = self._auth.identify(request.headers, request.cookie("grafana_session"))
        origin = urlsplit(request.headers.get("origin", "")).netloc
        if (
            who.by_cookie
            and request.method not in {"GET", "HEAD", "OPTIONS"}
            and origin not in {"", request.headers.get("host")}
        ):
            raise plain(403, "origin not allowed")
        return who

    def _unknown(self, request: Request) -> Reply:
        """501 for what Grafana has and this has not, 404 for what neither has, /login for pages of strangers."""
        words = request.path.split("/")
        if words[1] in {"api", "apis"}:
            self._identify(request)
            family = words[2] if len(words) > 2 else ""
            by_number = re.match(r"/api/datasources/(proxy/)?\d+(/|$)", request.path)  # routes that Grafana 13 dropped
            if words[1] == "apis" or (family in self._families and not by_number):
                raise not_emulated(f"{request.method} {request.path}")
            raise plain(404, "Not found")
        if words[1] in {"login", "public", "render", "avatar", "logout"}:
            raise not_emulated(f"page {request.method} {request.path}")
        try:
            self._identify(request)
        except GrafanaError:
            return Reply(302, b"", [("Location", "/login")])
        raise not_emulated(f"page {request.method} {request.path}")


def json_reply(status: int, body: Any) -> Reply:
    """A JSON answer; None is an empty body."""
    if body is None:
        return Reply(status)
    return Reply(status, json.dumps(body, separators=(",", ":")).encode(), [("Content-Type", JSON)])


async def _send(send: Any, reply: Reply, head: bool) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    present = {name for name, _ in headers}
    headers += [pair for pair in _COMMON if pair[0] not in present]
    if reply.status not in {204, 304}:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})


def session_cookies(token: str, ends: int) -> list[tuple[str, str]]:
    """The two cookies of a login."""
    tail = "Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
    expiry = f"grafana_session_expiry={ends}; Path=/; Max-Age=2592000; SameSite=Lax"
    return [("Set-Cookie", f"grafana_session={token}; {tail}"), ("Set-Cookie", expiry)]
