"""A running proxy server for the tests of its API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.proxy.proxy_api_rig import Api
from tests.unit.proxy.proxy_rig import Running


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running() as running:
        yield running


@pytest.fixture
def api(running: Running) -> Iterator[Api]:
    api = Api(running)
    yield api
    for name in api("GET", "/proxies")[1]:
        assert api("DELETE", f"/proxies/{name}") == (204, None)
    api.session.close()
