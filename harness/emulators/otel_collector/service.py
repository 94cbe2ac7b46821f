"""A running Collector: starts what the graph holds, listens, and stops in the order the real one stops."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from harness.emulators.runner import ConfigError, Defects, HttpListener, listen, serve, split_address

from . import COMMAND, VERSION
from .graph import Graph
from .http_answers import App
from .logs import Log
from .otlp_grpc_receiver import GrpcServer
from .otlp_http_receiver import HttpServer
from .pages import Health, metrics_page
from .settings import Settings
from .telemetry import Telemetry


@dataclass
class Collector:
    """The process. `run` returns after a graceful stop."""

    settings: Settings
    defects: Defects
    grpc_servers: list[GrpcServer] = field(default_factory=list)
    listeners: list[HttpListener] = field(default_factory=list)
    receiver_sockets: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        reader = self.settings.reader or {}
        detailed = self.settings.metrics_level == "detailed"
        self.telemetry = Telemetry(detailed, suffixes=not reader.get("without_type_suffix", True))
        about = {"service.instance.id": self.telemetry.instance_id, "service.name": COMMAND, "service.version": VERSION}
        self.log = Log(self.settings.log_level, fields={"resource": about})
        self.health: list[Health] = []

    async def run(self) -> None:
        """Build, start, serve until SIGTERM, stop. Raises ConfigError when it cannot start."""
        for warning in self.settings.warnings:
            self.log.write("warn", "builders/builders.go:40", warning)
        self.graph = Graph(self.settings, self.telemetry, self.log, self.defects)
        self.graph.build()
        self._say("service@v0.159.0/service.go:244", f"Starting {COMMAND}...", Version=VERSION)
        self._open_listeners()
        for server in self.grpc_servers:
            await server.start()
        for exporter in self.graph.exporters.values():
            exporter.start()
        for batch in self.graph.batches:
            batch.start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._refuse_reload)
        timers: list[Callable[[], Awaitable[None]]] = [*self._timers(), self._ready, self._watch_workers]
        await serve(self.listeners, background=timers, on_stop=self._stop)
        self._say("service@v0.159.0/service.go:334", "Shutdown complete.")

    async def _watch_workers(self) -> None:
        """A sending task that dies by accident ends the process: it must not go on as if it sent."""
        tasks = [task for exporter in self.graph.exporters.values() for task in exporter.tasks]
        await asyncio.gather(
            *tasks, *(batch.task for batch in self.graph.batches if batch.task), asyncio.Event().wait()
        )

    async def _ready(self) -> None:
        for health in self.health:
            health.up()
        self._say("service@v0.159.0/service.go:282", "Everything is ready. Begin running and processing data.")
        await asyncio.Event().wait()

    def _refuse_reload(self) -> None:
        self.log.write("error", "otelcol@v0.159.0/collector.go:477", "Config reload by SIGHUP is not emulated (501)")

    def _say(self, caller: str, message: str, **extra: object) -> None:
        self.log.write("info", caller, message, **extra)

    # -- listeners --------------------------------------------------------------------------------------------

    def _open_listeners(self) -> None:
        if self.settings.reader:
            address = f"{self.settings.reader['host']}:{self.settings.reader['port']}"
            self._listen(address, metrics_page(self.telemetry.families, False), "failed to create meter provider")
        for name in self.settings.extensions:
            self._open_extension(name)
        for name, store in self.graph.stores.items():
            settings = self.settings.components["exporters"][name].settings
            page = metrics_page(store.families, settings["enable_open_metrics"])
            self._listen(settings["endpoint"], page, f'cannot start pipelines: failed to start "{name}" exporter')
        for name, receiver in self.graph.receivers.items():
            protocols = self.settings.components["receivers"][name].settings["protocols"]
            if protocols["grpc"]:
                self.grpc_servers.append(GrpcServer(receiver, protocols["grpc"]))
            if protocols["http"]:
                app = HttpServer(receiver, protocols["http"])
                where = f'cannot start pipelines: failed to start "{name}" receiver'
                self.receiver_sockets.append(self._listen(protocols["http"]["endpoint"], app, where))

    def _open_extension(self, name: str) -> None:
        component = self.settings.components["extensions"][name]
        where = f"failed to start extensions: failed to start {name}"
        if component.type == "health_check":
            follows = "health_follows_backend" in self.defects
            health = Health(component.settings["path"], self._failing if follows else lambda: False)
            self.health.append(health)
            self._listen(component.settings["endpoint"], health, where)

    def _failing(self) -> bool:
        return any(exporter.failing for exporter in self.graph.exporters.values())

    def _listen(self, address: str, app: App, where: str) -> socket.socket:
        try:
            host, port = split_address(address)
            sock = listen(host, port)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigError(f"Error: {where}: listen tcp {address}: bind: {reason}") from error
        self.listeners.append(HttpListener(app, sock))
        return sock

    # -- timers -----------------------------------------------------------------------------------------------

    def _timers(self) -> list[Callable[[], Awaitable[None]]]:
        timers = [_every(limiter.interval, limiter.check) for limiter in self.graph.limiters.values()]
        for connector in self.graph.connectors.values():
            if connector.every:
                timers.append(_every(*connector.every))
            if connector.interval > 0:
                timers.append(_every(connector.interval, connector.flush))
        return timers

    # -- stopping ---------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        self._say("otelcol@v0.159.0/collector.go:477", "Received signal from OS", signal="terminated")
        self._say("service@v0.159.0/service.go:320", "Starting shutdown...")
        for sock in self.receiver_sockets:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.shutdown(socket.SHUT_RDWR)  # a listening socket then refuses; uvicorn closes it later
        for server in self.grpc_servers:
            await server.stop()
        for receiver in self.graph.receivers.values():
            await receiver.close(grace=5)
        for exporter in self.graph.exporters.values():
            await exporter.hold()
        for batch in self.graph.batches:
            await batch.stop()
        await asyncio.gather(*(exporter.stop() for exporter in self.graph.exporters.values()))


def _every(seconds: float, work: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def loop() -> None:
        while True:
            await asyncio.sleep(seconds)
            result = work()
            if isinstance(result, Awaitable):
                await result

    return loop
