"""Somebody listens, or the first endpoint where nobody does is the error."""

from __future__ import annotations

import socket

import pytest

from harness.model import Endpoint
from harness.probes.tcp import listens


def test_every_endpoint_has_to_take_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        good, silent = (Endpoint("x", "127.0.0.1", one.getsockname()[1]) for one in (server, bound))
        listens(good)
        with pytest.raises(ConnectionRefusedError):
            listens(good, silent)
