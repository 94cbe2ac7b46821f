"""The active checks: HTTP and TCP, run on their interval for as long as they are registered.

Sources: the check definition page; measured: intervals below 1 s count as 1 s, the first run comes after a random part
of the interval, 2xx passes, 429 warns, all else is critical. Output texts captured from 1.8.7.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from harness.emulators import http_client
from harness.emulators.go_durations import SECOND

INTERVAL_MIN = 1.0
TIMEOUT_DEFAULT = 10.0
_REDIRECTED = "consul emulator: a redirect is not followed"

Report = Callable[[str, str, str], None]


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
            _, writer = await http_client.dial(host, int(port))
    except TimeoutError:
        return "critical", f"dial tcp {target}: i/o timeout"
    except http_client.Unreachable as failed:
        return "critical", str(failed)
    writer.close()
    return "passing", f"TCP connect {target}: Success"


async def _http(url: str, timeout: float) -> tuple[str, str]:
    headers = {"User-Agent": "Consul Health Check", "Accept": "text/plain, text/*, */*"}
    try:
        answer = await http_client.fetch("GET", url, headers, timeout=timeout, dial_timeout=timeout)
    except http_client.Unreachable as failed:
        return "critical", str(failed)
    code = answer.status
    if code in {301, 302, 303, 307, 308}:
        return "critical", f'Get "{url}": {_REDIRECTED}'
    status = "passing" if 200 <= code < 300 else "warning" if code == 429 else "critical"
    return status, f"HTTP GET {url}: {code} {answer.reason} Output: {answer.body.decode('utf-8', 'replace')}"
