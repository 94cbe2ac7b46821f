"""The small HTTP pages: health_check, the own metrics and the prometheus exporter's page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from harness.emulators.go_durations import format_seconds
from harness.emulators.runner import note

from .exposition import OPEN_METRICS_TYPE, TEXT_TYPE, Family, render
from .http_answers import App, Receive, Scope, Send, answer, header, not_found


@dataclass
class Health:
    """The health_check extension: 503 until `up`, then 200, whatever the exporters meet."""

    path: str = "/"
    fails: Callable[[], bool] = lambda: False
    since: float = field(default=0.0, init=False)

    def up(self) -> None:
        """The pipelines run."""
        self.since = time.time()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request; with the default path every path is the same."""
        if self.path != "/" and scope["path"] != self.path:
            return await not_found(send)
        note("otel_collector", "GET / of health_check")
        ready = bool(self.since) and not self.fails()
        body = {
            "status": "Server available" if ready else "Server not available",
            "upSince": _stamp(self.since) if ready else "0001-01-01T00:00:00Z",
            "uptime": format_seconds(time.time() - self.since) if ready else "",
        }
        text = json.dumps(body, separators=(",", ":")).encode()
        return await answer(send, 200 if ready else 503, "application/json", text)


def _stamp(moment: float) -> str:
    fraction = f"{moment % 1:.9f}"[1:].rstrip("0").rstrip(".")
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def metrics_page(families: Callable[[], Iterable[Family]], open_metrics: bool) -> App:
    """`/metrics`. OpenMetrics is given to those who accept it, where it is allowed."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] != "/metrics":
            return await not_found(send)
        note("otel_collector", f"GET /metrics of {'the prometheus exporter' if open_metrics else 'its own telemetry'}")
        chosen = open_metrics and "application/openmetrics-text" in header(scope, b"accept")
        body = render(families(), chosen).encode()
        return await answer(send, 200, OPEN_METRICS_TYPE if chosen else TEXT_TYPE, body)

    return app
