"""/v1/session. Source: the session page of the HTTP API."""

from __future__ import annotations

from .decode import SESSION, decode, lock_delay
from .errors import not_found
from .http import Answer, Endpoint, Request, Routes
from .rows import Session, to_wire


def _create(request: Request) -> Answer:
    body = decode(request.body, SESSION) if request.body else {}
    delay, node = lock_delay(body.get("LockDelay")), request.server.settings.node
    request.authorizer.need("session", "write", str(body.get("Node") or node))
    return Answer({"ID": request.server.sessions.create(body, node, delay)})


def _find(request: Request) -> Session | None:
    return request.server.sessions.find(request.named("Missing session"))


def _destroy(request: Request) -> Answer:
    session = _find(request)
    if session:
        request.authorizer.need("session", "write", session.node)
    request.server.sessions.destroy(request.rest)
    return Answer(True)


def _renew(request: Request) -> Answer:
    session = _find(request)
    if session is None:
        raise not_found(f"Session id '{request.rest}' not found")
    request.authorizer.need("session", "write", session.node)
    request.server.sessions.renew(session)
    return Answer([to_wire(session)])


def _info(request: Request) -> Answer:
    session = _find(request)
    return _shown(request, request.server.sessions.listed()[0], [session] if session else [])


def _list(request: Request) -> Answer:
    return _shown(request, *request.server.sessions.listed())


def _shown(request: Request, index: int, sessions: list[Session]) -> Answer:
    return Answer([to_wire(row) for row in sessions if request.authorizer.visible("session", row.node)], index=index)


_READ = ("sessions",)
ROUTES: Routes = {
    "/v1/session/create": {"PUT": Endpoint(_create)},
    "/v1/session/destroy/": {"PUT": Endpoint(_destroy)},
    "/v1/session/renew/": {"PUT": Endpoint(_renew)},
    "/v1/session/info/": {"GET": Endpoint(_info, watch=_READ)},
    "/v1/session/list": {"GET": Endpoint(_list, watch=_READ)},
}
