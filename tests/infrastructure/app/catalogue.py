"""What the service does, over its cache, its store and its registry."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import requests
from opentelemetry import propagate

from .cache import Cache
from .errors import RequestError, Unavailable
from .registry import Registry
from .settings import Settings
from .store import Store
from .telemetry import Telemetry


class Catalogue:
    """Items that are written through to the cache, read from it, and counted under a lock."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._settings, self._telemetry = settings, telemetry
        self.cache, self.store = Cache(settings, telemetry), Store(settings, telemetry)
        self.registry = Registry(settings, telemetry)
        self.draining = threading.Event()
        self._http = requests.Session()
        self._http.trust_env = False
        self._up = {"redis": 1.0, "arangodb": 1.0}
        telemetry.gauge("dependency.up", lambda: self._up, "dependency")

    def read(self, key: str) -> dict[str, Any]:
        """From the cache, else from the store, which fills the cache. Raises Unknown and Unavailable."""
        item = self.cache.get(key)
        if item is not None:
            return {**item, "from": "cache"}
        item = self.store.get(key)
        self.cache.put(item)
        return {**item, "from": "store"}

    def write(self, key: str, value: Any) -> dict[str, Any]:
        """To the store, then to the cache: what is acknowledged is what the next reader sees. Raises Unavailable."""
        item = self.store.put(key, value)
        self.cache.put(item)
        return item

    def count(self, key: str, locked: bool) -> dict[str, Any]:
        """Add one to a number by reading and writing it: right only for who holds the item's lock.

        Says which session held it, and from when to when, in seconds of the machine's monotonic clock.
        """
        with self.registry.lock(key) if locked else nullcontext("none") as holder:
            since = time.monotonic()
            value = self.store.get(key)["value"] + 1
            item = self.write(key, value)
            until = time.monotonic()
        return {**item, "holder": holder, "since": since, "until": until}

    def read_through(self, service: str, key: str) -> dict[str, Any]:
        """Ask an instance of another service for one of its items. Raises Unknown and Unavailable."""
        url = self.registry.find(service)
        with self._telemetry.client_span(service, "GET /items"):
            headers: dict[str, str] = {}
            propagate.inject(headers)
            try:
                answer = self._http.get(f"{url}/items/{key}", headers=headers, timeout=self._settings.timeout)
            except requests.RequestException as error:
                raise Unavailable(service, error) from error
            if answer.status_code != 200:
                raise RequestError(f"{service}: HTTP {answer.status_code}")
            return dict(answer.json())

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether to send it requests, and what each dependency is like. It serves without the cache."""
        found = {"redis": self._state("redis", self.cache.check), "arangodb": self._state("arangodb", self.store.check)}
        if self.draining.is_set():
            return False, {**found, "status": "draining"}
        usable = found["arangodb"] == "up"
        status = "ready" if set(found.values()) == {"up"} else "degraded" if usable else "unavailable"
        return usable, {**found, "status": status}

    def config(self) -> Mapping[str, Any]:
        """What the key `config` said last, and at which index."""
        return {"value": self.registry.config, "index": self.registry.config_index}

    def _state(self, name: str, check: Callable[[], None]) -> str:
        try:
            check()
        except Exception as error:  # whatever its client raises, it does not answer
            self._up[name] = 0.0
            return f"down: {type(error).__name__}"
        self._up[name] = 1.0
        return "up"
