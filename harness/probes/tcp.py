"""Whether somebody listens."""

from __future__ import annotations

import socket

from harness.model import Endpoint


def listens(*endpoints: Endpoint, timeout: float = 2.0) -> None:
    """Connect to each and hang up. Raises OSError for the first that takes no connection within `timeout` seconds."""
    for endpoint in endpoints:
        socket.create_connection((endpoint.host, endpoint.port), timeout).close()
