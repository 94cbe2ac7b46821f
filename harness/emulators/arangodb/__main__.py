"""`python -m harness.emulators.arangodb` with arangod's own arguments."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from pathlib import Path

from harness.emulators.arangodb import VERSION
from harness.emulators.arangodb.defects import DEFECTS
from harness.emulators.arangodb.log import DirectoryBusyError, Log
from harness.emulators.arangodb.options import read_options
from harness.emulators.arangodb.server import Server
from harness.emulators.arangodb.wire.app import App
from harness.emulators.runner import HttpListener, listen, refuse, serve, setup_logging, take_defects

_PORT_BLOCKED, _LOCKED = 21, 22


async def _sweep(server: Server) -> None:
    """End what was idle too long, every second; remove what TTL indexes say is over, every `--ttl.frequency`."""
    due = time.monotonic() + server.options.ttl_seconds
    while True:
        await asyncio.sleep(min(1, server.options.ttl_seconds))
        with server.lock:
            server.sweep()
            if time.monotonic() >= due:
                server.expire(time.time())
                due = time.monotonic() + server.options.ttl_seconds


def main() -> None:
    """Start, say so, serve until SIGTERM."""
    argv, defects = take_defects(sys.argv[1:], DEFECTS)
    if "--version" in argv:
        print(f"{VERSION}\n\nserver-version: {VERSION}\nlicense: community\nrocksdb-version: emulated")
        return
    options = read_options(argv[1:] if argv and Path(argv[0]).name == "arangod" else argv, os.environ)
    setup_logging()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    try:
        log = Log(options.directory) if options.directory else None
    except DirectoryBusyError as error:
        refuse(f"database is locked by another process: {error}", _LOCKED)
    server = Server(options, defects, log)
    try:
        sock = listen(options.host, options.port)
    except OSError as error:
        place = f"{options.host}:{options.port}"
        refuse(f"failed to open endpoint: cannot bind to {place}: {error.strerror}", _PORT_BLOCKED)
    app = App(server)
    logging.getLogger("arangodb").info("ArangoDB (version %s [linux]) is ready for business. Have fun!", VERSION)

    async def stop() -> None:
        with server.lock:
            server.close()

    asyncio.run(
        serve(
            [HttpListener(app, sock, options.keyfile, options.keyfile)],
            background=[lambda: _sweep(server)],
            on_stop=stop,
        )
    )


if __name__ == "__main__":
    main()
