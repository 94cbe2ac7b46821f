"""The servicegraph connector: pairs client and server spans into edges between services. No sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .distribution import Distribution, Emitter
from .signals import METRICS, Data, as_string, attributes
from .telemetry import Telemetry

_BOUNDS = (0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.4, 2.0, 5.0, 10.0, 15.0)
_CLIENT_KINDS, _SERVER_KINDS = {3: "", 4: "messaging_system"}, {2: "", 5: "messaging_system"}
_PEERS = (
    "peer.service", "db.name", "db.system", "net.sock.peer.addr", "net.peer.name", "rpc.service",
    "net.sock.peer.name", "http.url", "http.target",
)  # fmt: skip
"""Attributes of a client's span that name who it called, when nobody answers as the other side."""
_ERROR = 2


@dataclass
class _Edge:
    parent: bytes
    expires: float
    client: str = ""
    server: str = ""
    client_seconds: float = 0.0
    server_seconds: float = 0.0
    connection_type: str = ""
    failed: bool = False
    peer: str = "unknown"


@dataclass
class _Totals:
    labels: Mapping[str, Any]
    client: Distribution = field(default_factory=lambda: Distribution(_BOUNDS))
    server: Distribution = field(default_factory=lambda: Distribution(_BOUNDS))


@dataclass
class ServiceGraph:
    """The connector's state. `clock` in seconds since the epoch. Call `expire` every `store_expiration_loop`."""

    settings: Mapping[str, Any]
    telemetry: Telemetry
    clock: Callable[[], float] = time.time
    _edges: dict[tuple[bytes, bytes], _Edge] = field(default_factory=dict)
    _totals: dict[tuple[Any, ...], _Totals] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = int(self.clock() * 1e9)

    def observe(self, data: Data) -> None:
        """Take the spans of a request whose resource has a service name."""
        for group in data.resource_spans:
            service = as_string(attributes(group.resource.attributes).get("service.name", ""))
            for scope in group.scope_spans if service else ():
                for span in scope.spans:
                    if span.kind in _CLIENT_KINDS:
                        self._client(service, span)
                    elif span.kind in _SERVER_KINDS:
                        self._server(service, span)

    def _client(self, service: str, span: Any) -> None:
        key = span.trace_id, span.span_id
        edge = self._edge(key)
        if edge is None:
            return
        own = attributes(span.attributes)
        edge.client, edge.client_seconds, edge.connection_type = service, _seconds(span), _CLIENT_KINDS[span.kind]
        edge.peer = next((as_string(own[name]) for name in _PEERS if name in own), edge.peer)
        if "db.name" in own:
            edge.connection_type, edge.server, edge.server_seconds = (
                "database",
                as_string(own["db.name"]),
                _seconds(span),
            )
        self._finish(edge, key, span)

    def _server(self, service: str, span: Any) -> None:
        key = span.trace_id, span.parent_span_id
        edge = self._edge(key)
        if edge is None:
            return
        edge.server, edge.server_seconds, edge.connection_type = service, _seconds(span), _SERVER_KINDS[span.kind]
        self._finish(edge, key, span)

    def _edge(self, key: tuple[bytes, bytes]) -> _Edge | None:
        if key in self._edges:
            return self._edges[key]
        if len(self._edges) >= self.settings["store"]["max_items"]:
            self.telemetry.add("connector_servicegraph_dropped_spans", 1)
            return None
        self.telemetry.add("connector_servicegraph_total_edges", 1)
        self._edges[key] = _Edge(key[1], self.clock() + self.settings["store"]["ttl"])
        return self._edges[key]

    def _finish(self, edge: _Edge, key: tuple[bytes, bytes], span: Any) -> None:
        edge.failed = edge.failed or span.status.code == _ERROR
        if edge.client and edge.server:
            del self._edges[key]
            self._count(edge)

    def expire(self) -> None:
        """Give up waiting for the other side: entry points get the client `user`, exits their peer's name."""
        now = self.clock()
        for key, edge in [(key, edge) for key, edge in self._edges.items() if edge.expires <= now]:
            del self._edges[key]
            self.telemetry.add("connector_servicegraph_expired_edges", 1)
            edge.connection_type = "virtual_node"
            if not edge.client and not edge.parent:
                edge.client = "user"
                self._count(edge)
            elif not edge.server:
                edge.server = edge.peer
                self._count(edge)

    def _count(self, edge: _Edge) -> None:
        labels = {"client": edge.client, "server": edge.server, "connection_type": edge.connection_type}
        totals = self._totals.setdefault((*labels.values(), edge.failed), _Totals({**labels, "failed": edge.failed}))
        totals.client.record(edge.client_seconds)
        totals.server.record(edge.server_seconds)

    def collect(self) -> Data:
        """The metrics to pass on now; an empty request when there are none."""
        request, found = METRICS.request(), self._totals.values()
        if not found:
            return request
        scope = request.resource_metrics.add().scope_metrics.add()
        scope.scope.name = "traces_service_graph"
        emit = Emitter(scope.metrics, self.started, int(self.clock() * 1e9))
        prefix = "traces_service_graph_request"
        emit.counter(f"{prefix}_total", [(one.labels, one.client.count) for one in found])
        failed = [(one.labels, one.client.count) for one in found if one.labels["failed"]]
        if failed:
            emit.counter(f"{prefix}_failed_total", failed)
        emit.histogram(f"{prefix}_server", "s", [(one.labels, one.server) for one in found])
        emit.histogram(f"{prefix}_client", "s", [(one.labels, one.client) for one in found])
        return request


def _seconds(span: Any) -> float:
    return max(0, int(span.end_time_unix_nano) - int(span.start_time_unix_nano)) / 1e9
