"""`python -m harness.emulators.consul agent -dev ...`: the command line of `consul`, and its start-up output."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Sequence

from harness.emulators.runner import (
    ConfigError,
    Defects,
    HttpListener,
    listen,
    refuse,
    serve,
    setup_logging,
    take_defects,
)

from .profile import DEFECTS, profile_named
from .settings import Settings, read_settings

USAGE = "Usage: consul [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n    agent    version"
PROTOCOL = """Protocol 2 spoken by default, understands 2 to 3 \
(agent will automatically use protocol >2 when speaking to compatible agents)
"""


def main(argv: Sequence[str]) -> None:
    """Run one command until it ends. Exits as the real program does on bad input."""
    words, defects = take_defects(argv, DEFECTS)
    words, profile_name = _take_profile(words)
    try:
        profile = profile_named(profile_name)
        if words[:1] in (["version"], ["--version"], ["-version"], ["-v"]):
            print(f"Consul v{profile.reported}\n{PROTOCOL}")
        elif words[:1] == ["agent"]:
            settings = read_settings(words[1:], os.environ, profile_name)
            setup_logging()
            asyncio.run(run(settings, defects))
        else:
            refuse(USAGE, 127)
    except ConfigError as error:
        refuse(str(error))


def _take_profile(words: list[str]) -> tuple[list[str], str]:
    """`--profile NAME` belongs to the emulator and may stand anywhere."""
    if "--profile" in words[:-1]:
        at = words.index("--profile")
        return [*words[:at], *words[at + 2 :]], words[at + 1]
    return words, os.environ.get("EMULATOR_CONSUL_PROFILE", "1.22")


async def run(settings: Settings, defects: Defects) -> None:
    """Serve one agent until SIGTERM or SIGINT."""
    from .app import App
    from .dns import Resolver
    from .dns_server import serve_dns
    from .monitors import AsyncMonitors
    from .server import build_server
    from .timers import Timers

    try:
        listeners = [listen(settings.client, settings.http_port)] if settings.http_port > 0 else []
        names = _datagrams(settings) if settings.dns_port > 0 else None
    except OSError as error:
        refuse(f"==> Error starting agent: error starting listener: {error.strerror}")
    server = build_server(settings, defects, Timers(asyncio.get_running_loop()))
    server.agent.monitors = AsyncMonitors(server.agent.update)
    server.start()
    _announce(settings, server.node_id)
    app, resolver = App(server), Resolver(server)

    async def serve_names() -> None:
        if names:
            await serve_dns(resolver, names)

    await serve([HttpListener(app, sock) for sock in listeners], background=[serve_names] if names else [])
    if server.disk:
        server.disk.close()


def _datagrams(settings: Settings) -> socket.socket:
    udp = socket.socket(socket.AF_INET6 if ":" in settings.client else socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((settings.client, settings.dns_port))
    udp.setblocking(False)
    return udp


def _announce(settings: Settings, node_id: str) -> None:
    print("==> Starting Consul agent...")
    print(f"           Version: '{settings.profile.reported}'")
    print(f"           Node ID: '{node_id}'")
    print(f"       Client Addr: [{settings.client}] (HTTP: {settings.http_port}, DNS: {settings.dns_port})")
    print("==> Consul agent running!", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
