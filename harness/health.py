"""Health of what is up: does each service answer, does it do its work, how full is it, and whose fault is it if not.

`look` asks every service at once; `judge` is pure: it takes what was found and the edges of the stack, and finds for
each unready service the one that made it so. An edge is judged by its far end: what packets do on the way is not asked.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, runtime_checkable

from harness.credentials import redact
from harness.model import Endpoint, Reading, ServicePlan, State
from harness.ports import Handle
from harness.probes.answer import answers
from harness.probes.poll import Deadline, NotYet, poll
from harness.services import kind_named

READY_WITHIN = 3.0
"""Seconds in which a working service has read back what was written to it."""
STRAINED = 0.9
"""The share of a limit from which on a service is not well, though it still works."""
TOLD = {State.PAUSED: "is paused", State.STOPPED: "is stopped", State.PENDING: "was not started"}
"""States that their owner knows for certain; nothing is asked then."""


@dataclass(frozen=True)
class Edge:
    """`client` needs `server`; `by` says what says so: `depends_on`, or variables of its environment."""

    client: str
    server: str
    by: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What asking one service gave. `alive`: it answers in its protocol. `problem` is a verb phrase, empty when it does
    its work; `latency` the seconds from a write to having read it back; `unmeasured` why there are no readings."""

    name: str
    alive: bool
    problem: str = ""
    version: str = ""
    latency: float = 0.0
    readings: tuple[Reading, ...] = ()
    unmeasured: str = ""
    blocked: bool = False

    @property
    def strained(self) -> tuple[Reading, ...]:
        """What is nearly full."""
        return tuple(reading for reading in self.readings if reading.share >= STRAINED)


@dataclass(frozen=True)
class Judged:
    """A service with its verdict. `ready`: it and all that it needs do their work. `culprit` is the service whose own
    trouble is the cause, empty when nobody else's is."""

    found: Finding
    ready: bool
    cause: str = ""
    culprit: str = ""

    @property
    def well(self) -> bool:
        """Ready, and nothing of it is nearly full."""
        return self.ready and not self.found.strained


@dataclass(frozen=True)
class Health:
    """All services in the order of the stack, and all edges."""

    services: Mapping[str, Judged]
    edges: tuple[Edge, ...] = field(default=())

    @property
    def well(self) -> bool:
        """Whether everything is."""
        return all(judged.well for judged in self.services.values())


@runtime_checkable
class Owned(Protocol):
    """A handle whose owner tells how it is."""

    @property
    def state(self) -> State:
        """What it is doing."""
        ...

    @property
    def cause(self) -> str:
        """Why it is not ready."""
        ...


def edges_of(services: Mapping[str, ServicePlan]) -> tuple[Edge, ...]:
    """Who needs whom: by `depends_on`, and by an address of another service in the environment."""
    by: dict[tuple[str, str], list[str]] = {}
    for name, service in services.items():
        for server in service.depends_on:
            by.setdefault((name, server), []).append("depends_on")
        for server, other in services.items():
            if server != name:
                spoken = [key for key, value in service.environment.items() if _addresses(value, other)]
                by.setdefault((name, server), []).extend(spoken)
    return tuple(Edge(client, server, tuple(reasons)) for (client, server), reasons in by.items() if reasons)


def _addresses(value: str, service: ServicePlan) -> bool:
    """Whether a value has `service:port`, or a URL of the service without a port."""
    names = "|".join(map(re.escape, (service.name, *service.options.aliases)))
    return bool(re.search(rf"(?<![\w.-])(?:{names}):\d|(?:(?<=//)|(?<=@))(?:{names})(?![\w.:-])", value))


# -- asking --------------------------------------------------------------------------------------------------------


def look(handles: Mapping[str, Handle], services: Mapping[str, ServicePlan]) -> Health:
    """Ask every service at once, and judge. Takes as long as the slowest, a few seconds at most."""
    for library in {name for handle in handles.values() if handle.kind for name in kind_named(handle.kind).libraries}:
        import_module(library)  # not to be taken for the service's latency
    with ThreadPoolExecutor(max_workers=max(1, len(handles))) as pool:
        found = pool.map(lambda handle: examine(handle, services[handle.name].one_shot), handles.values())
        return judge({finding.name: finding for finding in found}, edges_of(services))


def examine(handle: Handle, one_shot: bool = False) -> Finding:
    """Ask one service. Never raises: what goes wrong is the finding."""
    state = handle.state if isinstance(handle, Owned) else State.READY
    cause = _first_line(handle.cause) if isinstance(handle, Owned) else ""
    if state is State.BLOCKED:
        return Finding(handle.name, False, f"was not started: {cause}", blocked=True)
    if state in TOLD:
        return Finding(handle.name, False, TOLD[state])
    if one_shot or not (endpoint := _first_stream(handle.endpoints.values())):
        failed = state is State.FAILED
        return Finding(handle.name, not failed, f"failed: {cause}" if failed else "")
    try:
        answers(endpoint)
    except NotYet as seen:
        return Finding(
            handle.name, False, f"failed: {cause}" if cause else f"does not answer: {_first_line(str(seen))}"
        )
    return _work(handle) if handle.kind else Finding(handle.name, True)


def _first_stream(endpoints: Iterable[Endpoint]) -> Endpoint | None:
    return next((endpoint for endpoint in endpoints if endpoint.scheme != "udp"), None)


def _work(handle: Handle) -> Finding:
    """Whether a living service reads back what was written to it, and how full it is."""
    kind, started = kind_named(handle.kind or ""), time.monotonic()
    try:
        version = poll(lambda: kind.ready(handle), Deadline.after(READY_WITHIN), handle.name)
    except Exception as error:  # whatever it is, it is this service's trouble, and the others are asked all the same
        return Finding(handle.name, True, f"does not do its work: {_seen(error, handle)}")
    latency = time.monotonic() - started
    try:
        return Finding(handle.name, True, "", version, latency, kind.saturation(handle))
    except Exception as error:  # it works; only how full it is stays unknown
        return Finding(handle.name, True, "", version, latency, unmeasured=_seen(error, handle))


def _seen(error: Exception, handle: Handle) -> str:
    text = str(error).removeprefix(f"{handle.name}: ") or type(error).__name__
    return _first_line(redact(text, [secret.reveal() for secret in handle.credentials.values()]))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].removesuffix(";")


# -- judging -------------------------------------------------------------------------------------------------------


def judge(found: Mapping[str, Finding], edges: tuple[Edge, ...] = ()) -> Health:
    """The verdict on each service: its own trouble, or that of what it needs, however far away."""
    needs: dict[str, list[str]] = {name: [] for name in found}
    for edge in edges:
        if edge.client in found and edge.server in found:
            needs[edge.client].append(edge.server)
    return Health({name: _judged(name, found, needs) for name in found}, edges)


def _judged(name: str, found: Mapping[str, Finding], needs: Mapping[str, list[str]]) -> Judged:
    own, path = found[name], _way_to_trouble(name, found, needs, frozenset({name}))
    if not path:
        return Judged(own, not own.problem, own.problem or _strain(own))
    culprit, between = path[-1], path[:-1]
    cause = f"unready because {culprit} {found[culprit].problem}"
    cause += f" (by way of {', '.join(between)})" if between else ""
    cause += f"; itself {own.problem}" if own.problem and not own.blocked else ""
    return Judged(own, False, cause, culprit)


def _way_to_trouble(
    name: str, found: Mapping[str, Finding], needs: Mapping[str, list[str]], seen: frozenset[str]
) -> tuple[str, ...]:
    """The services from what `name` needs to the one whose own trouble it is; empty when it is nobody's, or its own:
    a service that is down is so for itself, one that was held back or answers and does not work may be another's."""
    if found[name].problem and not found[name].alive and not found[name].blocked:
        return ()
    for server in needs[name]:
        if server not in seen:
            if further := _way_to_trouble(server, found, needs, seen | {server}):
                return (server, *further)
            if found[server].problem:
                return (server,)
    return ()


def _strain(finding: Finding) -> str:
    full = ", ".join(f"{reading.name} at {reading.share:.0%} of its limit" for reading in finding.strained)
    return f"is nearly full: {full}" if full else ""
