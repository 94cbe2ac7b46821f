"""The proxy as a server: its HTTP API on one port, in this loop or as a process (`python -m harness.proxy`)."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from harness.proxy.address import bound, join, listen, resolve
from harness.proxy.api import build_app
from harness.proxy.collection import Collection, PopulateError
from harness.proxy.errors import ApiError
from harness.proxy.proxy import Rules

API_PORT = 8474
GRACE_SECONDS = 1


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handling: whoever owns the process decides when it ends."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()


class ProxyServer:
    """The API and its proxies, in the running loop. `start`, then `stop`; both may be used once."""

    def __init__(self, host: str = "127.0.0.1", port: int = API_PORT, *, seed: int, allow_remote: bool = False) -> None:
        self._rules = Rules(seed, allow_remote)
        self._address = join(host, port)
        self._uvicorn: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None
        self.collection = Collection(self._rules)

    async def start(self) -> str:
        """Listen and answer. Returns the API's base URL; port 0 becomes a free one. Raises ApiError."""
        sock = listen(*resolve(self._address, self._rules.allow_remote))
        config = uvicorn.Config(
            build_app(self.collection),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_keep_alive=75,  # longer than a client idles between two faults
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._uvicorn = _Uvicorn(config)
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets=[sock]))
        return f"http://{bound(sock)}"

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call back when the API no longer answers, asked to stop or not. After `start`."""
        if self._serving is not None:
            self._serving.add_done_callback(lambda _: callback())

    async def stop(self) -> None:
        """Close every proxy and connection, then the API. Raises what ended the API, if something did."""
        await self.collection.clear()
        if self._uvicorn is not None and self._serving is not None:
            self._uvicorn.should_exit = True
            await self._serving


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line of `python -m harness.proxy`. Exits 2 on a bad one."""
    parser = argparse.ArgumentParser(prog="python -m harness.proxy", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="host of the HTTP API (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=API_PORT, help="port of the HTTP API, 0 for a free one (%(default)s)"
    )
    parser.add_argument("--config", type=Path, help="JSON file with a list of proxies to create at the start")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="decides every random draw")
    parser.add_argument("--allow-remote", action="store_true", help="let the API and proxies listen beyond loopback")
    return parser.parse_args(argv)


def read_config(path: Path) -> list[Any]:
    """The proxies of a config file. Raises ValueError naming the file when it is no JSON list."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"config {path}: {error}") from error
    if not isinstance(found, list):
        raise ValueError(f"config {path}: expected a list of proxies, not {type(found).__name__}")  # noqa: TRY004
    return found


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT. Prints one line when ready. Raises ApiError, PopulateError, ValueError."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = ProxyServer(arguments.host, arguments.port, seed=arguments.seed, allow_remote=arguments.allow_remote)
    try:
        if arguments.config is not None:
            await server.collection.populate(read_config(arguments.config))
        url = await server.start()
        server.when_ended(stop.set)
        print(f"listening on {url} seed {arguments.seed}", flush=True)
        await stop.wait()
    finally:
        await server.stop()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server. 0 after a signal, 2 when it could not start as asked."""
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    try:
        asyncio.run(serve(arguments))
    except (ApiError, PopulateError, ValueError) as error:
        print(f"harness.proxy: {error}", file=sys.stderr)
        return 2
    return 0
