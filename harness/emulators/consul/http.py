"""What an endpoint is: a request, an answer, how often it may block; and JSON as Go writes it.

Sources: the API pages on blocking queries, consistency and filtering; header spelling and bodies captured from 1.8.7.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .acl import Authorizer
from .errors import bad_request
from .server import Server

_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass
class Request:
    """One request as an endpoint sees it. `rest` is the path below the endpoint's own."""

    server: Server
    rest: str
    query: Mapping[str, str]
    tags: list[str]
    body: bytes
    secret: str
    authorizer: Authorizer

    def named(self, missing: str) -> str:
        """The rest of the path. Raises ConsulError (400) with `missing` when there is none."""
        if not self.rest:
            raise bad_request(missing)
        return self.rest


@dataclass
class Answer:
    """What an endpoint answers: JSON, text, raw bytes, or (`empty`) nothing at all."""

    json: Any = None
    text: str | None = None
    raw: bytes | None = None
    status: int = 200
    index: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    empty: bool = False

    def content(self, pretty: bool) -> tuple[str, bytes]:
        """(content type, body)."""
        if self.empty or self.raw is not None:
            return "", self.raw or b""
        if self.text is not None:
            return "text/plain; charset=utf-8", self.text.encode("utf-8", "replace")
        return "application/json", encode(self.json, pretty=pretty)


Handler = Callable[[Request], Answer]


@dataclass(frozen=True)
class Endpoint:
    """A method of a path. `watch`: the tables whose change wakes a blocking query; empty means it never blocks.

    `consistency` says whether 1.8 adds X-Consul-Effective-Consistency, `unordered` whether an index is an id that can
    only be compared for being another one, `limit` which setting bounds the body.
    """

    run: Handler
    watch: tuple[str, ...] = ()
    consistency: bool = False
    unordered: bool = False
    limit: str = ""


Routes = Mapping[str, Mapping[str, Endpoint]]


def encode(value: Any, *, pretty: bool) -> bytes:
    """JSON as Go writes it: `<`, `>` and `&` escaped; pretty with four blanks and a newline at the end."""
    shape: Any = {"indent": 4, "separators": (",", ": ")} if pretty else {"separators": (",", ":")}
    text = json.dumps(value, ensure_ascii=False, **shape).translate(_ESCAPES)
    # A key that is not UTF-8 is kept as it came, and shown as Go shows it.
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return (shown + ("\n" if pretty else "")).encode()
