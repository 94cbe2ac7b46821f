"""`python -m harness.emulators.grafana [server] [--homepath D] [--config F] [cfg:default.section.key=value ...]`."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness.emulators import runner

from . import VERSION
from .config import Settings, load
from .defects import KNOWN
from .grafana import COMMIT, Grafana
from .site import Site
from .store import Store

log = logging.getLogger("server")
FLAGS = frozenset({"config", "homepath", "pidfile", "packaging"})
BOOLEANS = frozenset({"v", "version", "vv", "profile", "tracing"})


def main(argv: Sequence[str]) -> None:
    """Start as Grafana starts; exits 1 with its message when the configuration or the data directory is bad."""
    words, defects = runner.take_defects(argv, KNOWN)
    flags = runner.parse_go_flags(words, BOOLEANS)
    if {"v", "version", "vv"} & set(flags.values):
        server = "server" in flags.rest
        print(f"Version {VERSION} (commit: {COMMIT}, branch: main)" if server else f"grafana version {VERSION}")
        return
    unknown = set(flags.values) - FLAGS - BOOLEANS
    rest = [word for word in flags.rest if word != "server" and not word.startswith("cfg:")]
    if unknown or rest:
        runner.refuse(f"Incorrect Usage: unknown argument {min(unknown) if unknown else rest[0]!r}")
    runner.setup_logging()
    log.info("Starting Grafana version=%s commit=%s", VERSION, COMMIT)
    try:
        settings = load([word for word in flags.rest if word.startswith("cfg:")], os.environ, flags.last("config"))
        grafana = Grafana(Site(_open(settings), settings, time.time, defects), os.environ)
        grafana.provisioning.start()
        sock = runner.listen(settings.text("server.http_addr") or "0.0.0.0", settings.number("server.http_port"))
    except (runner.ConfigError, OSError, sqlite3.DatabaseError) as error:
        runner.refuse(f"Error: ✗ {error}")
    protocol = settings.text("server.protocol")
    log.info("HTTP Server Listen address=%s:%s protocol=%s", *sock.getsockname()[:2], protocol)
    files = ("server.cert_file", "server.cert_key") if protocol == "https" else ()
    listener = runner.HttpListener(grafana.app, sock, *map(settings.text, files))
    asyncio.run(runner.serve([listener], background=grafana.background(), on_stop=grafana.stop))


def _open(settings: Settings) -> Store:
    data = Path(settings.text("paths.data"))
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise runner.ConfigError(f"GF_PATHS_DATA='{data}' is not writable.") from error
    if not os.access(data, os.W_OK):
        raise runner.ConfigError(f"GF_PATHS_DATA='{data}' is not writable.")
    return Store(data / "grafana.db", settings.on("database.wal"))


if __name__ == "__main__":
    main(sys.argv[1:])
