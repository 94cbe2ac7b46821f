"""Consul: being found, finding others, being told of a change, and one lock per item."""

from __future__ import annotations

import random
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import consul
import requests

from .errors import Unavailable, Unknown
from .settings import Settings
from .telemetry import Telemetry

WATCH_SECONDS = 5
LOCK_WITHIN = 20.0
FAILURES = (consul.ConsulException, OSError)


class Registry:
    """One agent, and what this instance has there."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._settings, self._telemetry = settings, telemetry
        self._consul = _client(settings.consul_url, settings.timeout)
        self._patient = _client(settings.consul_url, settings.timeout + WATCH_SECONDS * 17 / 16)
        self.config, self.config_index = "", 0

    def register(self, port: int) -> None:
        """Be found at this port as long as `/ready`, asked once a second, answers 200 within half a second."""
        checked_at = self._settings.checked_at or f"{self._settings.host}:{port}"
        check = consul.Check.http(f"http://{checked_at}/ready", "1s", "500ms", "1m")
        about = {"address": self._settings.host, "port": port, "check": check}
        self._consul.agent.service.register(self._settings.name, self._settings.instance, **about)

    def deregister(self) -> None:
        """Be found no more."""
        self._consul.agent.service.deregister(self._settings.instance)

    def find(self, service: str) -> str:
        """The address of one passing instance, any of them. Raises Unknown when there is none."""
        with self._calling("health service"):
            _, found = self._consul.health.service(service, passing=True)
        if not found:
            raise Unknown(f"no passing instance of {service}")
        chosen = random.choice(found)["Service"]
        return f"http://{chosen['Address']}:{chosen['Port']}"

    def watch(self) -> None:
        """Follow the key `config` for ever, by blocking queries; a failure waits a moment and starts over."""
        index: str | None = None
        while True:
            try:
                answered, entry = self._patient.kv.get(
                    f"{self._settings.prefix}/config", index=index, wait=f"{WATCH_SECONDS}s"
                )
            except FAILURES as error:
                self._telemetry.log("config failed", level="warning", error=f"{type(error).__name__}: {error}")
                index = None
                time.sleep(0.5)
                continue
            self._telemetry.config_reads.add(1)
            index = None if index and int(answered) < int(index) else answered  # it went back: start over
            if entry and entry["ModifyIndex"] != self.config_index:
                self.config, self.config_index = (entry["Value"] or b"").decode(), entry["ModifyIndex"]
                self._telemetry.log("config changed", value=self.config, index=self.config_index)

    @contextmanager
    def lock(self, name: str) -> Iterator[str]:
        """Hold the lock of that name; gives the session that holds it. Raises Unavailable."""
        key = f"{self._settings.prefix}/lock/{name}"
        with self._calling("lock"):
            session: str = self._consul.session.create(name=self._settings.instance, lock_delay=0, ttl=10)
        try:
            self._acquire(key, session)
            yield session
        finally:
            with self._calling("unlock"):
                self._consul.session.destroy(session)  # releases what it holds

    def _acquire(self, key: str, session: str) -> None:
        deadline = time.monotonic() + LOCK_WITHIN
        with self._calling("acquire"):
            while not self._consul.kv.put(key, self._settings.instance, acquire=session):
                if time.monotonic() > deadline:
                    raise Unavailable("consul", f"lock {key} is held by another")
                index, entry = self._consul.kv.get(key)
                if entry and "Session" in entry:
                    self._patient.kv.get(key, index=index, wait="1s")
                self._consul.session.renew(session)

    @contextmanager
    def _calling(self, operation: str) -> Iterator[None]:
        with self._telemetry.client_span("consul", operation):
            try:
                yield
            except FAILURES as error:
                raise Unavailable("consul", error) from error


def start_watching(registry: Registry) -> None:
    """`watch`, in the background."""
    threading.Thread(target=registry.watch, daemon=True, name="config").start()


def _client(url: str, timeout: float) -> Any:
    address = urlsplit(url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the library warns of its own parts, used or not
        client = consul.Consul(address.hostname, address.port, scheme=address.scheme)
    session = client.http.session
    session.trust_env = False
    client.http.timeout = timeout
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=64))
    return client
