"""What an endpoint is: a request, an answer, how often it may block; and JSON as Go writes it.

Sources: the API pages on blocking queries, consistency and filtering; header spelling and bodies captured from 1.8.7.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .acl_rules import Authorizer
from .server import Server

_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass
class Request:
    """One request as an endpoint sees it. `rest` is the path below the endpoint's own."""

    server: Server
    method: str
    rest: str
    query: Mapping[str, str]
    queries: Mapping[str, list[str]]
    body: bytes
    secret: str
    authorizer: Authorizer


@dataclass
class Answer:
    """What an endpoint answers: JSON, text, raw bytes, or (all None) an empty body."""

    json: Any = None
    text: str | None = None
    raw: bytes | None = None
    status: int = 200
    index: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    empty: bool = False


Handler = Callable[[Request], Answer]


@dataclass(frozen=True)
class Endpoint:
    """A method of a path. `watch`: the tables whose change wakes a blocking query; empty means it never blocks.

    `consistency` says whether 1.8 adds X-Consul-Effective-Consistency, `meta_on_error` whether a failed read still
    carries the index headers, `limit` which setting bounds the body.
    """

    run: Handler
    watch: tuple[str, ...] = ()
    consistency: bool = False
    meta_on_error: bool = True
    unordered: bool = False
    limit: str = ""


Routes = Mapping[str, Mapping[str, Endpoint]]


def encode(value: Any, *, pretty: bool) -> bytes:
    """JSON as Go writes it: `<`, `>` and `&` escaped; pretty with four blanks and a newline at the end."""
    if value is True or value is False:
        text = "true" if value else "false"
    else:
        text = json.dumps(
            value, ensure_ascii=False, indent=4 if pretty else None, separators=(",", ": " if pretty else ":")
        )
    text = text.translate(_ESCAPES) + ("\n" if pretty else "")
    try:
        return text.encode()
    except UnicodeEncodeError:
        # A key that is not UTF-8: kept as it came, shown as Go shows it.
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()
