"""The active checks: HTTP and TCP, run on their interval for as long as they are registered.

Sources: the check definition page; measured: intervals below 1 s count as 1 s, the first run comes after a random part
of the interval, 2xx passes, 429 warns, all else is critical. Output texts captured from 1.8.7.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import httptools

from harness.emulators.go_durations import SECOND

from .agent import OUTPUT_LIMIT

INTERVAL_MIN = 1.0
TIMEOUT_DEFAULT = 10.0
REDIRECTS_MAX = 10
_DIAL = {errno.ECONNREFUSED: "connect: connection refused", errno.EHOSTUNREACH: "connect: no route to host"}

_TOO_SLOW = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"

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
        check = check_http if definition.get("HTTP") else check_tcp
        await asyncio.sleep(random.uniform(0, interval))
        while True:
            status, output = await check(definition, timeout)
            self._report(check_id, status, output)
            await asyncio.sleep(interval)


async def check_tcp(definition: dict[str, Any], timeout: float) -> tuple[str, str]:
    """(status, output) of one connection attempt, given up after `timeout` seconds."""
    host, _, port = definition["TCP"].rpartition(":")
    try:
        async with asyncio.timeout(timeout):
            _, writer = await _dial(host, int(port))
    except TimeoutError:
        return "critical", f"dial tcp {definition['TCP']}: i/o timeout"
    except CheckFailed as failed:
        return "critical", str(failed)
    writer.close()
    return "passing", f"TCP connect {definition['TCP']}: Success"


async def check_http(definition: dict[str, Any], timeout: float) -> tuple[str, str]:
    """(status, output) of one request, redirects followed, given up after `timeout` seconds."""
    url, method = definition["HTTP"], definition.get("Method") or "GET"
    try:
        async with asyncio.timeout(timeout):
            response = await _request(url, method, definition)
    except TimeoutError:
        return "critical", f'{method.capitalize()} "{url}": {_TOO_SLOW}'
    except CheckFailed as failed:
        return "critical", f'{method.capitalize()} "{url}": {failed}'
    code = response.code
    status = "passing" if 200 <= code < 300 else "warning" if code == 429 else "critical"
    body = bytes(response.body[-OUTPUT_LIMIT:]).decode("utf-8", "replace")
    return status, f"HTTP {method} {url}: {code} {response.reason} Output: {body}"


class _Response:
    """What httptools' parser tells of a response."""

    def __init__(self) -> None:
        self.code, self.reason, self.location, self.done = 0, "", "", False
        self.body = bytearray()

    def on_status(self, reason: bytes) -> None:
        self.reason += reason.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"location":
            self.location = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done = True


async def _request(url: str, method: str, definition: dict[str, Any]) -> _Response:
    for _ in range(REDIRECTS_MAX):
        response = await _exchange(url, method, definition)
        if response.code not in {301, 302, 303, 307, 308}:
            return response
        if not response.location:
            raise CheckFailed(f"{response.code} response missing Location header")
        url = urljoin(url, response.location)
    raise CheckFailed("stopped after 10 redirects")


async def _exchange(url: str, method: str, definition: dict[str, Any]) -> _Response:
    parts = urlsplit(url)
    secure = _tls(definition) if parts.scheme == "https" else None
    reader, writer = await _dial(parts.hostname or "", parts.port or (443 if secure else 80), secure)
    try:
        writer.write(_head_and_body(parts.netloc, url, method, definition))
        response = _Response()
        parser = httptools.HttpResponseParser(response)
        while not response.done:
            data = await reader.read(65536)
            if not data:
                break
            parser.feed_data(data)
        response.code = parser.get_status_code()
    except (OSError, httptools.HttpParserError):
        raise CheckFailed("EOF") from None
    finally:
        writer.close()
    if not response.code:
        raise CheckFailed("EOF")
    return response


def _head_and_body(host: str, url: str, method: str, definition: dict[str, Any]) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Host": [host], "User-Agent": ["Consul Health Check"], "Accept": ["text/plain, text/*, */*"]}
    headers |= {"Connection": ["close"]}
    headers |= {name.title(): values for name, values in (definition.get("Header") or {}).items()}
    body = str(definition.get("Body") or "").encode()
    if body:
        headers["Content-Length"] = [str(len(body))]
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, values in headers.items() for value in values]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _tls(definition: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if definition.get("TLSSkipVerify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _dial(
    host: str, port: int, secure: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(host, port, ssl=secure)
    except ssl.SSLError as error:
        raise CheckFailed(f"x509: {error.reason}") from None
    except OSError as error:
        if error.errno in _DIAL or error.errno is None or error.errno > 0:
            cause = _DIAL.get(error.errno or 0, os.strerror(error.errno or 0).lower())
            raise CheckFailed(f"dial tcp {host}:{port}: {cause}") from None
        raise CheckFailed(f"dial tcp: lookup {host}: no such host") from None
