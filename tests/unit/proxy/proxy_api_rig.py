"""Plain HTTP for the tests of the API."""

from __future__ import annotations

import json
from typing import Any

import requests

from tests.unit.proxy.proxy_rig import Running

Reply = tuple[int, Any]


class Api:
    """Plain HTTP, as any client of Toxiproxy would speak it."""

    def __init__(self, running: Running) -> None:
        self.echo = running.echo
        self.url = running.url
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method: str, path: str, body: Any = None, raw: str | None = None) -> Reply:
        data = raw if raw is not None else json.dumps(body) if body is not None else None
        response = self.session.request(method, self.url + path, data=data, timeout=5)
        return response.status_code, response.json() if response.content else None

    def create(self, name: str = "p", **more: Any) -> dict[str, Any]:
        status, body = self("POST", "/proxies", {"name": name, "upstream": self.echo, "listen": "127.0.0.1:0", **more})
        assert status == 201, body
        created: dict[str, Any] = body
        return created

    def toxic(self, kind: str = "latency", **more: Any) -> Reply:
        return self("POST", "/proxies/p/toxics", {"type": kind, **more})


def refused(status: int, words: str) -> Reply:
    return status, {"error": words, "status": status}
