"""From a checked configuration to connected components. Opens no listening socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from harness.emulators.runner import ConfigError, Defects

from .attributes import attribute_changer, parse_actions, resource_changer
from .batch import BatchProcessor
from .connectors import FlushingConnector, Forward, service_graph_connector, span_metrics_connector
from .debug_exporter import debug_push, nop_push
from .exporter import Exporter, Push
from .file_storage import FileStorage
from .filter import build_filter, counter_name
from .logs import Log
from .memory_limiter import MemoryLimiter, ProcessMemory
from .otlp_grpc_exporter import GrpcPush, split_target
from .otlp_http_exporter import HttpPush, signal_url
from .otlp_receiver import OtlpReceiver
from .pipeline import Consumer, PipelineEntry, Processor, fan_out
from .prometheus_exporter import PrometheusStore
from .retry import Retry
from .sending_queue import SendingQueue
from .settings import Component, PipelineSettings, Settings
from .signals import METRICS, SIGNALS, Data, Signal
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
    connectors: dict[tuple[str, str], FlushingConnector | Forward] = field(default_factory=dict)
    entries: dict[str, PipelineEntry] = field(default_factory=dict)

    # -- building ---------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Raises ConfigError in the words of the real graph builder."""
        self._check_connectors()
        for pipeline in self._downstream_first():
            self.entries[pipeline.id] = self._pipeline(pipeline)
        for name, component in self.settings.components["receivers"].items():
            feeds = {
                signal: fan_out(entries)
                for signal in SIGNALS
                if (entries := [self.entries[p.id] for p in self._reading(name) if p.signal == signal])
            }
            if feeds and component.type == "otlp":
                self.receivers[name] = OtlpReceiver(name, self.telemetry, self.defects, feeds)

    def _reading(self, name: str) -> list[PipelineSettings]:
        return [pipeline for pipeline in self.settings.pipelines if name in pipeline.receivers]

    def _writing(self, name: str) -> list[PipelineSettings]:
        return [pipeline for pipeline in self.settings.pipelines if name in pipeline.exporters]

    def _check_connectors(self) -> None:
        for name in self.settings.components["connectors"]:
            writing, reading = self._writing(name), self._reading(name)
            for role, found, other in (("exporter", writing, "receiver"), ("receiver", reading, "exporter")):
                if found and not (reading if role == "exporter" else writing):
                    raise ConfigError(
                        f'{_BUILD}connector "{name}" used as {role} in [{", ".join(p.id for p in found)}] pipeline but '
                        f"not used in any supported {other} pipeline"
                    )

    def _downstream_first(self) -> list[PipelineSettings]:
        ordered: list[PipelineSettings] = []
        connectors = self.settings.components["connectors"]

        def visit(pipeline: PipelineSettings, above: tuple[str, ...]) -> None:
            if pipeline.id in above:
                raise ConfigError(f"{_BUILD}cycle detected: {' -> '.join((*above, pipeline.id))}")
            for name in pipeline.exporters:
                for below in self._reading(name) if name in connectors else ():
                    visit(below, (*above, pipeline.id))
            if pipeline not in ordered:
                ordered.append(pipeline)

        for pipeline in self.settings.pipelines:
            visit(pipeline, ())
        return ordered

    def _pipeline(self, pipeline: PipelineSettings) -> PipelineEntry:
        signal = SIGNALS[pipeline.signal]
        current = fan_out([self._sink(name, signal) for name in pipeline.exporters])
        mutates = current.mutates
        for name in reversed(pipeline.processors):
            current = self._processor(self.settings.components["processors"][name], signal, current)
            mutates = mutates or current.mutates
        return PipelineEntry(current, mutates)

    # -- processors -------------------------------------------------------------------------------------------

    def _processor(self, component: Component, signal: Signal, following: Consumer) -> Consumer:
        build: dict[str, Callable[[Component, Signal, Consumer], Consumer]] = {
            "batch": self._batch,
            "memory_limiter": self._limiter,
            "attributes": self._attributes,
            "resource": self._resource,
            "filter": self._filter,
        }
        return build[component.type](component, signal, following)

    def _batch(self, component: Component, signal: Signal, following: Consumer) -> Consumer:
        log = self.log.named("processor", component.id, signal.name)
        loses = "batch_lost_on_shutdown" in self.defects
        batch = BatchProcessor(component.id, signal, component.settings, self.telemetry, log, following, loses)
        self.batches.append(batch)
        return batch

    def _limiter(self, component: Component, signal: Signal, following: Consumer) -> Consumer:
        if component.id not in self.limiters:
            memory = ProcessMemory()
            self.limiters[component.id] = MemoryLimiter(
                component.settings, self.log.named("processor", component.id), memory.read, memory.collect,
                "limiter_never_refuses" in self.defects,
            )  # fmt: skip
        limiter = self.limiters[component.id]

        def admit(data: Data) -> bool:
            count = signal.count(data)
            word = "refused" if limiter.refusing and not limiter.never_refuses else "accepted"
            name = f"processor_memory_limiter_{word}_{signal.items}"
            self.telemetry.add(name, count, processor=component.id)
            limiter.admit()
            return True

        return Processor(component.id, signal, self.telemetry, admit, following, mutates=False)

    def _attributes(self, component: Component, signal: Signal, following: Consumer) -> Consumer:
        actions = parse_actions(f"processors::{component.id}", component.settings["actions"])
        return Processor(component.id, signal, self.telemetry, attribute_changer(signal, actions), following)

    def _resource(self, component: Component, signal: Signal, following: Consumer) -> Consumer:
        actions = parse_actions(f"processors::{component.id}", component.settings["attributes"])
        return Processor(component.id, signal, self.telemetry, resource_changer(signal, actions), following)

    def _filter(self, component: Component, signal: Signal, following: Consumer) -> Consumer:
        dropped = partial(self.telemetry.add, counter_name(signal), filter=component.id)
        found = build_filter(component.id, signal, component.settings, dropped)
        return Processor(component.id, signal, self.telemetry, found.change, following)

    # -- exporters and connectors -----------------------------------------------------------------------------

    def _sink(self, name: str, signal: Signal) -> Consumer:
        if name in self.settings.components["connectors"]:
            return self._connector(self.settings.components["connectors"][name], signal)
        if (name, signal.name) not in self.exporters:
            component = self.settings.components["exporters"][name]
            self.exporters[name, signal.name] = self._exporter(component, signal)
        return self.exporters[name, signal.name]

    def _connector(self, component: Component, signal: Signal) -> Consumer:
        key = (component.id, signal.name)
        if key not in self.connectors:
            wanted = signal.name if component.type == "forward" else "metrics"
            below = [self.entries[p.id] for p in self._reading(component.id) if p.signal == wanted]
            if not below or (component.type != "forward" and signal.name != "traces"):
                raise ConfigError(
                    f'{_BUILD}connector "{component.id}" cannot connect from {signal.name} to '
                    f"{self._reading(component.id)[0].signal}: telemetry type is not supported"
                )
            self.connectors[key] = self._new_connector(component, fan_out(below))
        return self.connectors[key]

    def _new_connector(self, component: Component, below: Consumer) -> FlushingConnector | Forward:
        if component.type == "forward":
            return Forward(below)
        log = self.log.named("connector", component.id)
        if component.type == "span_metrics":
            return span_metrics_connector(component.settings, self.telemetry, log, below)
        return service_graph_connector(component.settings, self.telemetry, log, below)

    def _exporter(self, component: Component, signal: Signal) -> Exporter:
        log = self.log.named("exporter", component.id, signal.name)
        make = {"otlp_grpc": self._otlp_grpc, "otlp_http": self._otlp_http}.get(component.type)
        if make:
            return make(component, signal, log)
        return Exporter(
            component.id, signal, self._local_push(component, signal, log), self.telemetry, log, self.defects
        )

    def _local_push(self, component: Component, signal: Signal, log: Log) -> Push:
        if component.type == "debug":
            return debug_push(signal, component.settings, log)
        if component.type == "nop":
            return nop_push
        if signal is not METRICS:
            raise ConfigError(
                f'{_BUILD}failed to create "{component.id}" exporter for data type "{signal.name}": '
                "telemetry type is not supported"
            )
        self.stores[component.id] = PrometheusStore(component.settings)
        return self.stores[component.id].push

    def _otlp_grpc(self, component: Component, signal: Signal, log: Log) -> Exporter:
        wire = GrpcPush(component.settings, log)
        address = split_target(component.settings["endpoint"])
        return self._sending(component, signal, log, partial(wire.push, signal), address, wire.close)

    def _otlp_http(self, component: Component, signal: Signal, log: Log) -> Exporter:
        wire = HttpPush(component.settings, log)
        address = split_target(signal_url(component.settings, signal).split("/v1/")[0])
        return self._sending(component, signal, log, partial(wire.push, signal), address, None)

    def _sending(
        self, component: Component, signal: Signal, log: Log, push: Push, address: dict[str, str],
        close: Callable[[], Awaitable[None]] | None,
    ) -> Exporter:  # fmt: skip
        retry = Retry(
            component.settings["retry_on_failure"], log,
            ignores_retry_info="ignores_retry_info" in self.defects,
            retries_permanent="retries_permanent_errors" in self.defects,
        )  # fmt: skip
        tries_again = (
            component.settings["retry_on_failure"]["enabled"] and "gives_up_at_first_failure" not in self.defects
        )
        queue = component.settings["sending_queue"]
        return Exporter(
            component.id, signal, push, self.telemetry, log, self.defects, self._queue(component, signal),
            retry if tries_again else None, queue["num_consumers"], queue["block_on_overflow"], address, close,
        )  # fmt: skip

    def _queue(self, component: Component, signal: Signal) -> SendingQueue | None:
        queue = component.settings["sending_queue"]
        if not (queue["enabled"] and self.opens_queues):
            return None
        client = (
            self._storage(component.id, queue["storage"]).client(component.id, signal.name)
            if queue["storage"]
            else None
        )
        forgets = "queue_forgets_in_flight" in self.defects
        return SendingQueue(signal, queue["queue_size"], queue["sizer"], client, forgets)

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
