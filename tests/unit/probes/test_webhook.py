"""The webhook receiver: keeps what it takes, refuses as often as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest
import requests

from harness.probes.webhook import listening


class Callers:
    """Services of this machine that know it by another name."""

    callback_host = "127.0.0.1"
    ports: ClassVar[list[int]] = []

    @contextmanager
    def called_at(self, port: int) -> Iterator[str]:
        self.ports.append(port)
        yield f"localhost:{port}"
        self.ports.remove(port)


def test_it_keeps_headers_and_bodies_and_refuses_as_often_as_told() -> None:
    with listening(Callers()) as hook:
        hook.refuse = 2
        codes = [requests.post(hook.url, json={"n": n}, headers={"X-One": "y"}, timeout=5).status_code
                 for n in range(4)]  # fmt: skip
    assert codes == [503, 503, 200, 200]
    assert [body for _, body in hook.got] == [{"n": 2}, {"n": 3}]
    assert hook.got[0][0]["x-one"] == "y"


def test_it_is_gone_afterwards() -> None:
    callers = Callers()
    with listening(callers) as hook:
        assert hook.url == f"http://localhost:{callers.ports[0]}/hook"
    assert callers.ports == []
    with pytest.raises(requests.ConnectionError):
        requests.post(hook.url, json={}, timeout=5)
