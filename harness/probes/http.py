"""One HTTP exchange with the standard library alone: what readiness asks, before any client library is loaded."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.model import Endpoint
from harness.probes.poll import NotYet


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower-case names) and body of a response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON. Raises NotYet when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise NotYet(f"HTTP {self.status}, expected JSON, found {self.text[:80]!r}") from error


def ask(
    endpoint: Endpoint,
    path: str,
    method: str = "GET",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
    timeout: float = 2.0,
) -> Answer:
    """Send one request; a body that is not bytes goes as JSON. Raises OSError when nothing answers."""
    connection = _connection(endpoint, timeout)
    try:
        return _exchange(connection, path, method, body, headers, login)
    finally:
        connection.close()


def _exchange(
    connection: http.client.HTTPConnection,
    path: str,
    method: str = "GET",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
) -> Answer:
    sent = dict(headers or {})
    if login:
        sent["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
    if body is not None and not isinstance(body, bytes):
        body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    except http.client.HTTPException as error:
        raise NotYet(f"{method} {path}: {type(error).__name__} {error}") from error


class Conversation:
    """GETs over one connection, made anew after one that failed: for who asks a hundred times a second. Used by one
    thread only."""

    def __init__(self, endpoint: Endpoint, timeout: float = 2.0) -> None:
        self._connection = _connection(endpoint, timeout)

    def get(self, path: str) -> Answer:
        """One answer. Raises OSError or NotYet when none comes."""
        try:
            return _exchange(self._connection, path)
        except (OSError, NotYet):
            self._connection.close()
            raise

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _connection(endpoint: Endpoint, timeout: float) -> http.client.HTTPConnection:
    if not endpoint.encrypted:
        return http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=timeout)
    context = ssl.create_default_context(cafile=endpoint.authority or None)
    return http.client.HTTPSConnection(endpoint.host, endpoint.port, timeout=timeout, context=context)


def expect(status: int | tuple[int, ...], endpoint: Endpoint, path: str, method: str = "GET", **more: Any) -> Answer:
    """`ask`, and insist on the status. Raises NotYet with status and body otherwise."""
    answer = ask(endpoint, path, method, **more)
    wanted = (status,) if isinstance(status, int) else status
    if answer.status not in wanted:
        raise NotYet(f"{method} {path}: HTTP {answer.status} {answer.text.strip()[:120]}")
    return answer
