"""/v1/session. Source: the session page of the HTTP API."""

from __future__ import annotations

from .errors import bad_request, not_found
from .godecode import DecodeError, Many, Struct, decode, lock_delay_nanoseconds
from .http import Answer, Endpoint, Request, Routes
from .rows import Session, to_wire
from .schemas import SESSION


def body_of(request: Request, into: Struct | Many, prefix: str = "Request decode failed: ") -> dict[str, object]:
    """The decoded JSON body. Raises ConsulError (400) with Go's message behind `prefix`."""
    try:
        return dict(decode(request.body, into))
    except DecodeError as error:
        raise bad_request(f"{prefix}{error}") from None


def _create(request: Request) -> Answer:
    body = body_of(request, SESSION) if request.body else {}
    try:
        delay = lock_delay_nanoseconds(body.get("LockDelay"))
    except DecodeError as error:
        raise bad_request(f"Request decode failed: {error}") from None
    node = request.server.settings.node
    request.authorizer.need("session", "write", str(body.get("Node") or node))
    return Answer({"ID": request.server.sessions.create(body, node, delay)})


def _destroy(request: Request) -> Answer:
    session = request.server.sessions.find(_id(request))
    if session:
        request.authorizer.need("session", "write", session.node)
    request.server.sessions.destroy(request.rest)
    return Answer(True)


def _renew(request: Request) -> Answer:
    session = request.server.sessions.find(_id(request))
    if session is None:
        raise not_found(f"Session id '{request.rest}' not found")
    request.authorizer.need("session", "write", session.node)
    request.server.sessions.renew(session.id)
    return Answer([to_wire(session)])


def _info(request: Request) -> Answer:
    session = request.server.sessions.find(_id(request))
    return _shown(request, request.server.sessions.listed()[0], [session] if session else [])


def _list(request: Request) -> Answer:
    return _shown(request, *request.server.sessions.listed())


def _node(request: Request) -> Answer:
    if not request.rest:
        raise bad_request("Missing node name")
    return _shown(request, *request.server.sessions.listed(request.rest))


def _id(request: Request) -> str:
    if not request.rest:
        raise bad_request("Missing session")
    return request.rest


def _shown(request: Request, index: int, sessions: list[Session]) -> Answer:
    return Answer([to_wire(row) for row in sessions if request.authorizer.visible("session", row.node)], index=index)


_READ = ("sessions",)
ROUTES: Routes = {
    "/v1/session/create": {"PUT": Endpoint(_create)},
    "/v1/session/destroy/": {"PUT": Endpoint(_destroy)},
    "/v1/session/renew/": {"PUT": Endpoint(_renew)},
    "/v1/session/info/": {"GET": Endpoint(_info, watch=_READ)},
    "/v1/session/list": {"GET": Endpoint(_list, watch=_READ)},
    "/v1/session/node/": {"GET": Endpoint(_node, watch=_READ)},
}
