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

from .defects import DEFECTS
from .profile import Profile, profile_named
from .settings import Settings, read_settings

USAGE = "Usage: consul [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n    agent    version"


def main(argv: Sequence[str]) -> None:
    """Run one command until it ends. Exits as the real program does on bad input."""
    words, defects = take_defects(argv, DEFECTS)
    words, profile_name = _take_profile(words)
    try:
        profile = profile_named(profile_name)
        if words[:1] in (["version"], ["--version"], ["-version"], ["-v"]):
            print(_version(profile))
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


def _version(profile: Profile) -> str:
    spoken = "Protocol 2 spoken by default, understands 2 to 3"
    spoken += " (agent will automatically use protocol >2 when speaking to compatible agents)"
    return f"Consul v{profile.reported}\n{spoken}\n"


async def run(settings: Settings, defects: Defects) -> None:
    """Serve one agent until SIGTERM or SIGINT."""
    from .dns import Resolver
    from .dns_server import serve_dns
    from .monitors import AsyncMonitors
    from .routes import build_app
    from .server import build_server
    from .timers import LoopTimers

    try:
        listeners = [listen(settings.client, settings.http_port)] if settings.http_port > 0 else []
        dns = _dns_sockets(settings) if settings.dns_port > 0 else None
    except OSError as error:
        refuse(f"==> Error starting agent: error starting listener: {error.strerror}")
    server, log = build_server(settings, defects, LoopTimers(asyncio.get_running_loop()))
    server.agent.monitors = AsyncMonitors(server.agent.result)
    server.start()
    _announce(settings, server.node_id)
    app = build_app(server)

    async def serve_names() -> None:
        if dns:
            await serve_dns(Resolver(server), *dns)

    await serve([HttpListener(app, sock) for sock in listeners], background=[serve_names] if dns else [])
    if log:
        log.close()


def _dns_sockets(settings: Settings) -> tuple[socket.socket, socket.socket]:
    udp = socket.socket(socket.AF_INET6 if ":" in settings.client else socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((settings.client, settings.dns_port))
    udp.setblocking(False)
    return udp, listen(settings.client, settings.dns_port)


def _announce(settings: Settings, node_id: str) -> None:
    print("==> Starting Consul agent...")
    print(f"           Version: '{settings.profile.reported}'")
    print(f"           Node ID: '{node_id}'")
    print(f"         Node name: '{settings.node}'")
    print(f"        Datacenter: '{settings.datacenter}' (Segment: '<all>')")
    print(f"       Client Addr: [{settings.client}] (HTTP: {settings.http_port}, DNS: {settings.dns_port})")
    print("==> Consul agent running!", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
