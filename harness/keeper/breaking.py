"""What can be broken in a keeper's stack beyond kill, stop and pause: verbs, capabilities, undos."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from harness.errors import FaultError, HarnessError, ServiceError
from harness.model import State
from harness.ports import DiskLimitable, Isolatable, Lossy, Reconfigurable, Squeezable
from harness.probes.poll import Deadline
from harness.services import kind_named
from harness.services.base import LimitsMemory
from harness.stack import Service

UNDO = {
    "pause": "resume",
    "kill": "start",
    "stop": "start",
    "isolate": "rejoin",
    "misconfigure": "reconfigure",
    "fill_disk": "free_disk",
    "squeeze": "release",
    "lose_packets": "keep_packets",
    "poison": "mend",
    "cut": "mend",
}
"""What heals an operation whose client disconnects before it did so itself."""

HEALS = {
    "start": {"start"},
    "resume": {"resume"},
    "restart": {"start", "resume"},
    "rejoin": {"rejoin"},
    "reconfigure": {"reconfigure"},
    "free_disk": {"free_disk"},
    "release": {"release"},
    "keep_packets": {"keep_packets"},
    "mend": {"mend"},
}
"""Which undos are no longer needed after an operation."""

CAPABILITIES: Mapping[str, type] = {
    "Isolatable": Isolatable,
    "Reconfigurable": Reconfigurable,
    "DiskLimitable": DiskLimitable,
    "Lossy": Lossy,
}
VERBS = {
    "isolate": "Isolatable",
    "rejoin": "Isolatable",
    "misconfigure": "Reconfigurable",
    "reconfigure": "Reconfigurable",
    "fill_disk": "DiskLimitable",
    "free_disk": "DiskLimitable",
    "lose_packets": "Lossy",
    "keep_packets": "Lossy",
}
ASKED = {"misconfigure": "word", "lose_packets": "percent"}
"""Operations that take something, and its name in the request."""
"""Operations on an instance, and the capability that each needs."""
LINK = "link "
"""Before the name of a link, where services and links stand in one list."""
SETTLES_WITHIN = 60.0
"""Seconds that a service started without waiting gets to become ready in the background."""

Undo = tuple[str, str]
"""A service's name, or `LINK` and a link's, and the verb that heals it."""


def capabilities(service: Service) -> tuple[str, ...]:
    """What can be done to this service here beyond what can be done to every one: by its runtime, or by its kind."""
    found = tuple(name for name, protocol in CAPABILITIES.items() if isinstance(service.instance, protocol))
    return (*found, Squeezable.__name__) if _limiter(service) else found


def _limiter(service: Service) -> LimitsMemory | None:
    kind: object = kind_named(service.kind) if service.kind else None
    return kind if isinstance(kind, LimitsMemory) else None


class Pressure:
    """The memory limits that were lowered, and what each was: kept here, so that they are restored whoever dies."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}

    def operate(self, verb: str, service: Service, share: float) -> None:
        """`squeeze` or `release`. Raises FaultError for a kind without such a limit, ServiceError when refused."""
        limiter = _limiter(service)
        if limiter is None:
            raise FaultError(f"{service.name}: {verb}: {service.kind or 'a service of no kind'} has no memory limit")
        with service.lock:
            try:
                if verb == "squeeze":
                    self._before.setdefault(service.name, limiter.limit_memory(service, share))
                elif service.name in self._before:
                    limiter.restore_memory(service, self._before[service.name])
                    del self._before[service.name]
            except Exception as error:  # whatever the kind's own client raises
                raise ServiceError(f"{service.name}: {verb}: {error}") from error


def break_or_heal(service: Service, verb: str, request: Mapping[str, Any]) -> None:
    """One of `VERBS` on a service. Raises FaultError when its runtime cannot."""
    needed = VERBS[verb]
    with service.lock:
        if not isinstance(service.instance, CAPABILITIES[needed]):
            raise FaultError(f"{service.name}: {verb}: not {needed} on this runtime", "choose another fault or runtime")
        getattr(service.instance, verb)(*([request[ASKED[verb]]] if verb in ASKED else []))
        if verb == "misconfigure":
            service.state = State.STOPPED
        elif verb == "reconfigure":
            service.state = State.STARTING


def settle(service: Service) -> None:
    """Let its state follow in the background, for a start that nobody waited for."""

    def wait() -> None:
        with suppress(HarnessError):  # it may be broken again meanwhile; its status tells what it is
            service.wait(Deadline.after(SETTLES_WITHIN))

    if service.state is State.STARTING:
        threading.Thread(target=wait, name=f"settle-{service.name}", daemon=True).start()


class Undos:
    """What clients broke and did not heal, by connection. Safe to use from the threads of all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_client: dict[int, list[Undo]] = {}

    def note(self, client: int, target: str, verb: str) -> None:
        """Before an operation: register what undoes it, or forget what it heals, whoever broke it."""
        with self._lock:
            if verb in UNDO:
                self._by_client.setdefault(client, []).append((target, UNDO[verb]))
            for undos in self._by_client.values() if verb in HEALS else ():
                undos[:] = [undo for undo in undos if undo[0] != target or undo[1] not in HEALS[verb]]

    def take(self, client: int | None = None) -> list[Undo]:
        """The undos of one client, or of all, last first and each once; they are forgotten here."""
        with self._lock:
            clients = list(self._by_client) if client is None else [client]
            found = [undo for one in clients for undo in self._by_client.pop(one, [])]
        return list(dict.fromkeys(reversed(found)))

    def active(self) -> list[Undo]:
        """Everything that is broken now."""
        with self._lock:
            return list(dict.fromkeys(undo for undos in self._by_client.values() for undo in undos))
