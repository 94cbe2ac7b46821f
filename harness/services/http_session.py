"""requests sessions for services that speak HTTP: a base address, a time-out on every call, nothing from outside."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter

from harness.model import Endpoint

TIMEOUT = 5.0
"""Seconds for connecting and between two bytes of an answer, unless a call says otherwise."""


class IsolatedSession(requests.Session):
    """A session without proxies, .netrc or CA bundles from the environment, without retries, with a bounded pool."""

    def __init__(self, timeout: float = TIMEOUT, authority: str = "") -> None:
        super().__init__()
        self.timeout = timeout
        self.trust_env = False
        self.verify = authority or True
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=16, max_retries=0, pool_block=True))

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """As `requests`, with the session's time-out where the call gives none."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self.timeout
        return super().request(method, url, *args, **kwargs)


class ServiceSession(IsolatedSession):
    """A session whose paths are relative to one endpoint: `session.get("/ready")`."""

    def __init__(self, endpoint: Endpoint, timeout: float = TIMEOUT) -> None:
        super().__init__(timeout, endpoint.authority)
        self.endpoint = endpoint
        self.base = endpoint.url if endpoint.scheme in {"http", "https"} else f"http://{endpoint.address}"

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """As `requests`, with the endpoint before a path."""
        text = url.decode() if isinstance(url, bytes) else url
        return super().request(method, urljoin(self.base, text), *args, **kwargs)
