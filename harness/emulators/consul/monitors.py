"""The active checks: HTTP and TCP, run on their interval for as long as they are registered.

Sources: the check definition page; measured: intervals below 1 s count as 1 s, the first run comes after a random part
of the interval, 2xx passes, 429 warns, all else is critical. Output texts captured from 1.8.7.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httptools

from harness.emulators.go_durations import SECOND

INTERVAL_MIN = 1.0
TIMEOUT_DEFAULT = 10.0
_TOO_SLOW = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
_REDIRECTED = "consul emulator: a redirect is not followed"

Report = Callable[[str, str, str], None]


class CheckFailed(Exception):
    """A check that got no answer; the message is its output."""


class AsyncMonitors:
    """Runs each check as a task. `report(check id, status, output)` is told every result."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, check_id: str, definition: dict[str, Any]) -> None:
        """See `agent.Monitors.start`."""
        self.stop(check_id)
        self._tasks[check_id] = asyncio.get_running_loop().create_task(self._run(check_id, definition))

    def stop(self, check_id: str) -> None:
        """See `agent.Monitors.stop`."""
        task = self._tasks.pop(check_id, None)
        if task is not None:
            task.cancel()

    async def _run(self, check_id: str, definition: dict[str, Any]) -> None:
        interval = max(INTERVAL_MIN, definition["Interval"] / SECOND)
        timeout = definition.get("Timeout", 0) / SECOND or TIMEOUT_DEFAULT
        check, target = (_http, definition["HTTP"]) if definition.get("HTTP") else (_tcp, definition["TCP"])
        await asyncio.sleep(random.uniform(0, interval))
        while True:
            status, output = await check(target, timeout)
            self._report(check_id, status, output)
            await asyncio.sleep(interval)


async def _tcp(target: str, timeout: float) -> tuple[str, str]:
    host, _, port = target.rpartition(":")
    try:
        async with asyncio.timeout(timeout):
            _, writer = await _dial(host, int(port))
    except TimeoutError:
        return "critical", f"dial tcp {target}: i/o timeout"
    except CheckFailed as failed:
        return "critical", str(failed)
    writer.close()
    return "passing", f"TCP connect {target}: Success"


async def _http(url: str, timeout: float) -> tuple[str, str]:
    try:
        async with asyncio.timeout(timeout):
            code, reason, body = await _get(url)
    except TimeoutError:
        return "critical", f'Get "{url}": {_TOO_SLOW}'
    except CheckFailed as failed:
        return "critical", f'Get "{url}": {failed}'
    status = "passing" if 200 <= code < 300 else "warning" if code == 429 else "critical"
    return status, f"HTTP GET {url}: {code} {reason} Output: {body.decode('utf-8', 'replace')}"


class _Response:
    """What httptools' parser tells of a response."""

    def __init__(self) -> None:
        self.reason, self.done, self.body = "", False, bytearray()

    def on_status(self, reason: bytes) -> None:
        self.reason += reason.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done = True


async def _get(url: str) -> tuple[int, str, bytes]:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = "User-Agent: Consul Health Check\r\nAccept: text/plain, text/*, */*\r\nConnection: close"
    reader, writer = await _dial(parts.hostname or "", parts.port or 80)
    response = _Response()
    parser = httptools.HttpResponseParser(response)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}\r\n\r\n".encode())
        while not response.done and (data := await reader.read(65536)):
            parser.feed_data(data)
    except (OSError, httptools.HttpParserError):
        raise CheckFailed("EOF") from None
    finally:
        writer.close()
    code = parser.get_status_code()
    if not code or code in {301, 302, 303, 307, 308}:
        raise CheckFailed(_REDIRECTED if code else "EOF")
    return code, response.reason, bytes(response.body)


async def _dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(host, port)
    except OSError as error:
        known = {errno.ECONNREFUSED: "connect: connection refused", errno.EHOSTUNREACH: "connect: no route to host"}
        number = error.errno or 0
        if number < 0:
            raise CheckFailed(f"dial tcp: lookup {host}: no such host") from None
        raise CheckFailed(f"dial tcp {host}:{port}: {known.get(number, os.strerror(number).lower())}") from None
