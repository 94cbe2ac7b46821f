"""python-consul2 over a session of ours: the library's own has no time-out and follows the environment's proxies."""

from __future__ import annotations

import warnings
from typing import Any
from urllib.parse import parse_qs, urlsplit

import consul
import requests
from consul import std

from harness.config.compose_values import duration
from harness.credentials import Secret
from harness.model import Endpoint
from harness.services.http_session import IsolatedSession

BLOCKING_SLACK = 1.0 / 16
"""A blocking query may take its `wait` and up to a sixteenth more. Source: Consul, "Blocking Queries"."""


class BlockingSession(IsolatedSession):
    """Every call ends: after `timeout` seconds, or for a blocking query after its wait, the slack and `timeout`."""

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """As `requests`; the library passes no time-out of its own."""
        kwargs["timeout"] = self.timeout + blocking_seconds(str(url))
        return super().request(method, url, *args, **kwargs)


class Client(std.Consul):  # type: ignore[misc]  # the library publishes no types
    """`consul.Consul`, differing only in the session that its calls go through."""

    bound: float = 5.0
    authority: str = ""

    def http_connect(self, host: str, port: int, scheme: str, verify: Any = True, cert: Any = None, *_: Any) -> Any:
        """What the library calls to make its HTTP side."""
        http = std.HTTPClient(host, port, scheme, verify, cert)
        http.session = BlockingSession(self.bound, self.authority)
        return http


def connect(endpoint: Endpoint, timeout: float, token: Secret | None = None) -> consul.Consul:
    """A client for one agent. Nothing is sent before the first call."""
    bounded = type("BoundedClient", (Client,), {"bound": timeout, "authority": endpoint.authority})
    scheme, verify = endpoint.scheme, endpoint.authority or True
    secret = token.reveal() if token else None
    with warnings.catch_warnings():
        # Every client warns of parts of the library that are deprecated, whether they are used or not.
        warnings.simplefilter("ignore", DeprecationWarning)
        return bounded(endpoint.host, endpoint.port, token=secret, scheme=scheme, verify=verify)


def blocking_seconds(url: str) -> float:
    """How long the server may hold this request back, in seconds; zero when it is no blocking query."""
    query = parse_qs(urlsplit(url).query)
    if "index" not in query or "wait" not in query:
        return 0.0
    return duration(query["wait"][0]) * (1 + BLOCKING_SLACK)
