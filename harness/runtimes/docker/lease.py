"""The lease of a run on an engine: tells owners of other hosts that this one lives, who cannot see its process.

Labels cannot be changed, so the lease is an empty, labelled volume per renewal; the one before is removed.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

from docker.errors import APIError
from requests import RequestException

from harness.runtimes.docker.engine import make_client
from harness.runtimes.docker.labels import Owner

RENEW = 10.0
"""Seconds between two renewals."""
VALID = 60.0
"""Seconds that a lease holds. A machine that sleeps longer loses its containers to the next run of another host."""


class Lease:
    """Renewed by a thread until `stop`."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True, name="lease")
        self._current: Any = None
        self._client: Any = None

    def start(self) -> None:
        """Take the first lease now, and renew it from here on. Raises what the engine's client raises."""
        self._client = make_client()
        self._take()
        self._thread.start()

    def stop(self) -> None:
        """Renew no more. The last lease goes with the rest of the run."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5)
        elif self._client is not None:
            self._client.close()

    def _renew(self) -> None:
        while not self._stopped.wait(RENEW):
            with suppress(APIError, RequestException):  # the engine is away; the next renewal may find it again
                self._take()
        self._client.close()

    def _take(self) -> None:
        expires = time.time() + VALID
        name = f"ih-{self._owner.run}-lease-{int(expires * 1000)}"
        before, self._current = (
            self._current,
            self._client.volumes.create(name, labels=self._owner.labels(expires=f"{expires:.3f}")),
        )
        if before is not None:
            before.remove(force=True)
