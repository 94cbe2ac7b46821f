"""From a checked configuration to connected components. Opens no listening socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from harness.emulators.runner import ConfigError, Defects, note

from .attributes import attribute_changer, parse_actions, resource_changer
from .batch import BatchProcessor
from .connectors import FlushingConnector
from .exporter import Exporter, Push
from .file_storage import FileStorage
from .filter import build_filter, counter_name
from .logs import Log
from .memory_limiter import MemoryLimiter, ProcessMemory
from .otlp_grpc_exporter import GrpcPush, split_target
from .otlp_http_exporter import HttpPush
from .otlp_receiver import OtlpReceiver
from .pipeline import Consumer, PipelineEntry, Processor, fan_out
from .prometheus_exporter import PrometheusStore
from .retry import Retry
from .sending_queue import SendingQueue
from .servicegraph import ServiceGraph
from .settings import Component, PipelineSettings, Settings
from .signals import METRICS, SIGNALS, Data, Signal
from .spanmetrics import SpanMetrics
from .telemetry import Telemetry

_BUILD = "Error: failed to build pipelines: "


@dataclass
class Graph:
    """Every component. `build` fills it; with `opens_queues` off nothing on disk is touched (`validate`)."""

    settings: Settings
    telemetry: Telemetry
    log: Log
    defects: Defects
    opens_queues: bool = True
    receivers: dict[str, OtlpReceiver] = field(default_factory=dict)
    exporters: dict[tuple[str, str], Exporter] = field(default_factory=dict)
    batches: list[BatchProcessor] = field(default_factory=list)
    limiters: dict[str, MemoryLimiter] = field(default_factory=dict)
    stores: dict[str, PrometheusStore] = field(default_factory=dict)
    connectors: dict[str, FlushingConnector] = field(default_factory=dict)
    entries: dict[str, PipelineEntry] = field(default_factory=dict)

    # -- building ---------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Raises ConfigError in the words of the real graph builder."""
        self._check_connectors()
        for component in self.settings.components["extensions"].values():
            note("otel_collector", f"extensions {component.type}")
        for pipeline in self._downstream_first():
            self.entries[pipeline.id] = self._pipeline(pipeline)
        for name in self.settings.components["receivers"]:
            feeds = {
                signal: fan_out(entries)
                for signal in SIGNALS
                if (entries := [self.entries[p.id] for p in self._reading(name) if p.signal == signal])
            }
            if feeds:
                self.receivers[name] = OtlpReceiver(name, self.telemetry, self.defects, feeds)

    def _reading(self, name: str) -> list[PipelineSettings]:
        return [pipeline for pipeline in self.settings.pipelines if name in pipeline.receivers]

    def _check_connectors(self) -> None:
        for name in self.settings.components["connectors"]:
            writing = [pipeline for pipeline in self.settings.pipelines if name in pipeline.exporters]
            reading = self._reading(name)
            for role, found, missing, other in (
                ("exporter", writing, not reading, "receiver"), ("receiver", reading, not writing, "exporter"),
            ):  # fmt: skip
                if found and missing:
                    raise ConfigError(
                        f'{_BUILD}connector "{name}" used as {role} in [{", ".join(p.id for p in found)}] pipeline but '
                        f"not used in any supported {other} pipeline"
                    )
            pairs = {(one.signal, other.signal) for one in writing for other in reading} - {("traces", "metrics")}
            for given, wanted in sorted(pairs):
                reason = "telemetry type is not supported"
                raise ConfigError(f'{_BUILD}connector "{name}" cannot connect from {given} to {wanted}: {reason}')

    def _downstream_first(self) -> list[PipelineSettings]:
        # What reads a connector takes metrics and what writes one has traces, so there can be no cycle.
        connectors = self.settings.components["connectors"]
        return sorted(self.settings.pipelines, key=lambda pipeline: bool(connectors.keys() & {*pipeline.exporters}))

    def _pipeline(self, pipeline: PipelineSettings) -> PipelineEntry:
        signal = SIGNALS[pipeline.signal]
        current = fan_out([self._sink(name, signal) for name in pipeline.exporters])
        mutates = current.mutates
        for name in reversed(pipeline.processors):
            current = self._processor(self.settings.components["processors"][name], signal, current)
            mutates = mutates or current.mutates
        return PipelineEntry(current, mutates, tuple(self._parts(pipeline)))

    def _parts(self, pipeline: PipelineSettings) -> Iterator[str]:
        names = {*pipeline.receivers, *pipeline.processors, *pipeline.exporters}
        for section, components in self.settings.components.items():
            yield from (f"{section} {components[name].type}" for name in names & components.keys())

    # -- processors -------------------------------------------------------------------------------------------

    def _processor(self, component: Component, signal: Signal, following: Consumer) -> Consumer:
        where, settings = f"processors::{component.id}", component.settings
        if component.type == "batch":
            return self._batch(component, signal, following)
        mutates = True
        change: Callable[[Data], bool]
        if component.type == "memory_limiter":
            change, mutates = partial(self._admit, self._limiter(component), component.id, signal), False
        elif component.type == "filter":
            dropped = partial(self.telemetry.add, counter_name(signal), filter=component.id)
            change = build_filter(component.id, signal, settings, dropped).change
        elif component.type == "attributes":
            change = attribute_changer(signal, parse_actions(where, settings["actions"]))
        else:
            change = resource_changer(signal, parse_actions(where, settings["attributes"]))
        return Processor(component.id, signal, self.telemetry, change, following, mutates)

    def _batch(self, component: Component, signal: Signal, following: Consumer) -> Consumer:
        log = self.log.named("processor", component.id, signal.name)
        loses = "batch_lost_on_shutdown" in self.defects
        batch = BatchProcessor(component.id, signal, component.settings, self.telemetry, log, following, loses)
        self.batches.append(batch)
        return batch

    def _limiter(self, component: Component) -> MemoryLimiter:
        if component.id not in self.limiters:
            memory, log = ProcessMemory(), self.log.named("processor", component.id)
            never = "limiter_never_refuses" in self.defects
            self.limiters[component.id] = MemoryLimiter(component.settings, log, memory.read, memory.collect, never)
        return self.limiters[component.id]

    def _admit(self, limiter: MemoryLimiter, identity: str, signal: Signal, data: Data) -> bool:
        word = "refused" if limiter.refusing and not limiter.never_refuses else "accepted"
        name = f"processor_memory_limiter_{word}_{signal.items}"
        self.telemetry.add(name, signal.count(data), processor=identity)
        limiter.admit()
        return True

    # -- exporters and connectors -----------------------------------------------------------------------------

    def _sink(self, name: str, signal: Signal) -> Consumer:
        if name in self.settings.components["connectors"]:
            return self._connector(self.settings.components["connectors"][name])
        if (name, signal.name) not in self.exporters:
            component = self.settings.components["exporters"][name]
            self.exporters[name, signal.name] = self._exporter(component, signal)
        return self.exporters[name, signal.name]

    def _connector(self, component: Component) -> FlushingConnector:
        if component.id not in self.connectors:
            below = fan_out([self.entries[pipeline.id] for pipeline in self._reading(component.id)])
            log, interval = self.log.named("connector", component.id), component.settings["metrics_flush_interval"]
            if component.type == "span_metrics":
                spans = SpanMetrics(component.settings, self.telemetry.instance_id)
                made = FlushingConnector(spans.observe, spans.collect, below, log, interval)
            else:
                edges = ServiceGraph(component.settings, self.telemetry)
                expiry = (max(component.settings["store_expiration_loop"], 0.05), edges.expire)
                made = FlushingConnector(edges.observe, edges.collect, below, log, interval, expiry)
            self.connectors[component.id] = made
        return self.connectors[component.id]

    def _exporter(self, component: Component, signal: Signal) -> Exporter:
        log = self.log.named("exporter", component.id, signal.name)
        if component.type == "otlp_grpc":
            wire = GrpcPush(component.settings, log)
            made = self._sending(component, signal, log, partial(wire.push, signal))
            made.close = wire.close
            return made
        if component.type == "otlp_http":
            return self._sending(component, signal, log, partial(HttpPush(component.settings, log).push, signal))
        push = self._debug(signal, log) if component.type == "debug" else self._prometheus(component, signal)
        return Exporter(component.id, signal, push, self.telemetry, log, self.defects)

    def _debug(self, signal: Signal, log: Log) -> Push:
        async def push(data: Data) -> None:
            counts = {f"resource {signal.name}": len(getattr(data, signal.groups)), signal.items: signal.count(data)}
            log.write("info", "debugexporter/exporter.go:65", signal.name.capitalize(), **counts)

        return push

    def _prometheus(self, component: Component, signal: Signal) -> Push:
        if signal is not METRICS:
            raise ConfigError(
                f'{_BUILD}failed to create "{component.id}" exporter for data type "{signal.name}": '
                "telemetry type is not supported"
            )
        self.stores[component.id] = PrometheusStore(component.settings)
        return self.stores[component.id].push

    def _sending(self, component: Component, signal: Signal, log: Log, push: Push) -> Exporter:
        settings = component.settings["retry_on_failure"]
        tries_again = settings["enabled"] and "gives_up_at_first_failure" not in self.defects
        retry = Retry(settings, log, ignores_retry_info="ignores_retry_info" in self.defects) if tries_again else None
        made = Exporter(component.id, signal, push, self.telemetry, log, self.defects, retry=retry)
        made.queue = self._queue(component, signal)
        made.consumers = component.settings["sending_queue"]["num_consumers"]
        made.address = split_target(component.settings["endpoint"])
        return made

    def _queue(self, component: Component, signal: Signal) -> SendingQueue | None:
        queue = component.settings["sending_queue"]
        if not (queue["enabled"] and self.opens_queues):
            return None
        storage = self._storage(component.id, queue["storage"]) if queue["storage"] else None
        client = storage.client(component.id, signal.name) if storage else None
        return SendingQueue(signal, queue["queue_size"], client, "queue_forgets_in_flight" in self.defects)

    def _storage(self, exporter: str, name: str) -> FileStorage:
        start = f'Error: cannot start pipelines: failed to start "{exporter}" exporter: '
        if name not in self.settings.extensions:
            raise ConfigError(f"{start}no storage client extension found")
        component = self.settings.components["extensions"][name]
        if component.type != "file_storage":
            raise ConfigError(f"{start}requested extension is not a storage extension")
        storage = FileStorage(name, Path(component.settings["directory"]), component.settings["create_directory"])
        storage.check()
        return storage
