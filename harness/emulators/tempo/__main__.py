"""`python -m harness.emulators.tempo -config.file=F [-config.expand-env=true] [-config.verify=true] [-target=all]`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.emulators import runner
from harness.emulators.go_durations import parse_duration
from harness.emulators.runner import ConfigError, HttpListener
from harness.emulators.tempo import settings, status_pages
from harness.emulators.tempo.defects import DEFECTS

if TYPE_CHECKING:
    import grpc.aio

    from harness.emulators.tempo.instance import Instance

KNOWN_FLAGS = frozenset(
    {"config.file", "config.expand-env", "config.verify", "target", "version", "shutdown-delay", "log.level"}
)
TICK_SECONDS = 0.05


@dataclass
class Process:
    """The running emulator: its state, its timers and its way down."""

    instance: Instance
    shutdown_delay: float
    grpc_servers: list[grpc.aio.Server] = field(default_factory=list)

    async def timers(self) -> None:
        """Run due timers for ever."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.instance.tick()

    async def receivers(self) -> None:
        """Start the gRPC ports; only then is the instance ready."""
        from harness.emulators.tempo import grpc_otlp

        self.grpc_servers = await grpc_otlp.start(self.instance)
        self.instance.starting.clear()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Not ready at once; receivers stay open for the shutdown delay; then what is live goes to the log."""
        self.instance.stopping = True
        await asyncio.sleep(self.shutdown_delay)
        self.instance.closed = True
        for server in self.grpc_servers:
            await server.stop(0.2)
        self.instance.stop()


def main(argv: Sequence[str]) -> None:
    """Read the command line and serve until SIGTERM. Exits 1 for a bad configuration, 2 for a bad command line."""
    words, defects = runner.take_defects(argv, DEFECTS)
    try:
        flags = runner.parse_go_flags(words, booleans=frozenset({"version"}))
    except ConfigError as error:
        runner.refuse(str(error), 2)
    for name in flags.values:
        if name not in KNOWN_FLAGS:
            runner.refuse(f"flag provided but not defined: -{name}", 2)
    if flags.on("version"):
        print(status_pages.version_text(), end="")
        return
    try:
        loaded = settings.load(flags.last("config.file"), expand_env=flags.on("config.expand-env"))
        if flags.on("config.verify"):
            return
        if flags.last("target", "all") != "all":
            runner.refuse(f"not emulated: -target={flags.last('target')}")
        asyncio.run(_serve(loaded, defects, parse_duration(flags.last("shutdown-delay", "0")) / 1e9))
    except (ConfigError, OSError, ValueError) as error:
        runner.refuse(str(error))


async def _serve(loaded: settings.Settings, defects: runner.Defects, shutdown_delay: float) -> None:
    from harness.emulators.tempo import http_otlp, http_query
    from harness.emulators.tempo.instance import Instance

    runner.setup_logging()
    instance = Instance(loaded, defects)
    listeners = [HttpListener(http_query.app(instance), runner.listen(loaded.http_host, loaded.http_port))]
    if loaded.otlp_http:
        otlp = runner.listen(*runner.split_address(loaded.otlp_http))
        listeners.append(HttpListener(http_otlp.app(instance), otlp))
    instance.open()
    process = Process(instance, shutdown_delay)
    await runner.serve(listeners, background=[process.timers, process.receivers], on_stop=process.stop)


if __name__ == "__main__":
    main(sys.argv[1:])
