"""The servicegraph connector: pairs client and server spans into edges between services. No sockets."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.emulators.go_durations import parse_seconds

from .signals import METRICS, Data, as_string, attributes, set_any
from .telemetry import Telemetry

_BUCKETS = (0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.4, 2.0, 5.0, 10.0, 15.0)
_CLIENT_KINDS, _SERVER_KINDS = {3: "", 4: "messaging_system"}, {2: "", 5: "messaging_system"}
_ERROR = 2
_CUMULATIVE = 2


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
    dimensions: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return bool(self.client and self.server)


@dataclass
class _Totals:
    labels: dict[str, Any]
    requests: int = 0
    failed: int = 0
    client: list[int] = field(default_factory=list)
    server: list[int] = field(default_factory=list)
    client_sum: float = 0.0
    server_sum: float = 0.0


@dataclass
class ServiceGraph:
    """The connector's state. `clock` in seconds since the epoch. Call `expire` every `store_expiration_loop`."""

    settings: Mapping[str, Any]
    telemetry: Telemetry
    clock: Callable[[], float] = time.time
    _edges: dict[tuple[bytes, bytes], _Edge] = field(default_factory=dict)
    _totals: dict[tuple[Any, ...], _Totals] = field(default_factory=dict)

    def __post_init__(self) -> None:
        configured = [parse_seconds(str(text)) for text in self.settings["latency_histogram_buckets"]]
        self.bounds = configured or list(_BUCKETS)
        self.started = int(self.clock() * 1e9)

    def observe(self, data: Data) -> None:
        """Take the spans of a request whose resource has a service name."""
        for group in data.resource_spans:
            resource = attributes(group.resource.attributes)
            service = as_string(resource.get("service.name", ""))
            if not service:
                continue
            for scope in group.scope_spans:
                for span in scope.spans:
                    if span.kind in _CLIENT_KINDS:
                        self._client(service, resource, span)
                    elif span.kind in _SERVER_KINDS:
                        self._server(service, resource, span)

    def _client(self, service: str, resource: dict[str, Any], span: Any) -> None:
        edge = self._edge(span.trace_id, span.span_id)
        if edge is None:
            return
        own = attributes(span.attributes)
        edge.client, edge.client_seconds = service, _seconds(span)
        edge.connection_type = _CLIENT_KINDS[span.kind]
        wanted = self.settings["virtual_node_peer_attributes"]
        edge.peer = next((as_string(own[name]) for name in wanted if name in own), edge.peer)
        names = self.settings["database_name_attributes"]
        database = next((as_string({**own, **resource}[name]) for name in names if name in own or name in resource), "")
        if database:
            edge.connection_type, edge.server, edge.server_seconds = "database", database, _seconds(span)
        self._finish(edge, (span.trace_id, span.span_id), "client", {**resource, **own}, span)

    def _server(self, service: str, resource: dict[str, Any], span: Any) -> None:
        edge = self._edge(span.trace_id, span.parent_span_id)
        if edge is None:
            return
        edge.server, edge.server_seconds = service, _seconds(span)
        edge.connection_type = _SERVER_KINDS[span.kind]
        own = attributes(span.attributes)
        self._finish(edge, (span.trace_id, span.parent_span_id), "server", {**resource, **own}, span)

    def _edge(self, trace_id: bytes, span_id: bytes) -> _Edge | None:
        known = self._edges.get((trace_id, span_id))
        if known:
            return known
        if len(self._edges) >= self.settings["store"]["max_items"]:
            self.expire()
        if len(self._edges) >= self.settings["store"]["max_items"]:
            self.telemetry.add("connector_servicegraph_dropped_spans", 1)
            return None
        self.telemetry.add("connector_servicegraph_total_edges", 1)
        edge = _Edge(span_id, self.clock() + self.settings["store"]["ttl"])
        self._edges[trace_id, span_id] = edge
        return edge

    def _finish(self, edge: _Edge, key: tuple[bytes, bytes], side: str, values: dict[str, Any], span: Any) -> None:
        edge.failed = edge.failed or span.status.code == _ERROR
        for name in self.settings["dimensions"]:
            if name in values:
                edge.dimensions[f"{side}_{name}"] = as_string(values[name])
        if edge.complete:
            del self._edges[key]
            self._count(edge)

    def expire(self) -> None:
        """Give up waiting for the other side: entry points get the client `user`, exits their peer's name."""
        now = self.clock()
        for key, edge in list(self._edges.items()):
            if edge.expires > now:
                continue
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
        labels = {
            "client": edge.client, "server": edge.server, "connection_type": edge.connection_type,
            "failed": edge.failed, **edge.dimensions,
        }  # fmt: skip
        empty = [0] * (len(self.bounds) + 1)
        fresh = _Totals(labels, client=list(empty), server=list(empty))
        totals = self._totals.setdefault(tuple(sorted(labels.items())), fresh)
        totals.requests += 1
        totals.failed += edge.failed
        totals.client[bisect_left(self.bounds, edge.client_seconds)] += 1
        totals.server[bisect_left(self.bounds, edge.server_seconds)] += 1
        totals.client_sum += edge.client_seconds
        totals.server_sum += edge.server_seconds

    def collect(self) -> Data:
        """The metrics to pass on now; an empty request when there are none."""
        request = METRICS.request()
        if not self._totals:
            return request
        scope = request.resource_metrics.add().scope_metrics.add()
        scope.scope.name = "traces_service_graph"
        now = int(self.clock() * 1e9)
        for totals in self._totals.values():
            self._sum(scope.metrics, "traces_service_graph_request_total", totals.requests, totals, now)
            if totals.failed:
                self._sum(scope.metrics, "traces_service_graph_request_failed_total", totals.failed, totals, now)
            self._histogram(scope.metrics, "server", totals.server, totals.server_sum, totals, now)
            self._histogram(scope.metrics, "client", totals.client, totals.client_sum, totals, now)
        return request

    def _sum(self, metrics: Any, name: str, value: int, totals: _Totals, now: int) -> None:
        metric = metrics.add(name=name)
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, _CUMULATIVE
        self._point(metric.sum, totals, now).as_int = value

    def _histogram(self, metrics: Any, side: str, counts: list[int], total: float, totals: _Totals, now: int) -> None:
        metric = metrics.add(name=f"traces_service_graph_request_{side}", unit="s")
        metric.histogram.aggregation_temporality = _CUMULATIVE
        point = self._point(metric.histogram, totals, now)
        point.count, point.sum = totals.requests, total
        point.bucket_counts.extend(counts)
        point.explicit_bounds.extend(self.bounds)

    def _point(self, metric: Any, totals: _Totals, now: int) -> Any:
        point = metric.data_points.add(start_time_unix_nano=self.started, time_unix_nano=now)
        for name, value in totals.labels.items():
            set_any(point.attributes.add(key=name).value, value)
        return point


def _seconds(span: Any) -> float:
    return max(0, int(span.end_time_unix_nano) - int(span.start_time_unix_nano)) / 1e9
