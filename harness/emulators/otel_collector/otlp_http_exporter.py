"""The otlp_http exporter's wire: one POST per request, in a thread because the standard library's client blocks."""

from __future__ import annotations

import asyncio
import gzip
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from . import VERSION
from .failures import Failure, from_http
from .logs import Log, say_rejected
from .signals import Data, Signal

_MAX_ANSWER = 64 * 1024


@dataclass(frozen=True)
class HttpPush:
    """Posts protobuf to one URL. `timeout` bounds connecting and each read, in seconds."""

    settings: Mapping[str, Any]
    log: Log

    async def push(self, signal: Signal, data: Data) -> None:
        """Send once. Raises Failure."""
        url = str(self.settings["endpoint"]).rstrip("/") + signal.path
        status, headers, body = await asyncio.to_thread(self._post, url, data.SerializeToString())
        if 200 <= status <= 299:
            return self._partial_success(signal, headers, body)
        raise from_http(url, status, _status_message(body), _retry_after(status, headers))

    def _post(self, url: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        parts = urlsplit(url)
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": f"OpenTelemetry Collector Contrib/{VERSION}"}
        headers |= {str(key): str(value) for key, value in self.settings["headers"].items()}
        if self.settings["compression"] == "gzip":
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self.settings["timeout"])
        try:
            connection.request("POST", parts.path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers.items()), answer.read(_MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            text = f'failed to make an HTTP request: Post "{url}": {_go_error(error, parts.netloc)}'
            raise Failure(None, text) from error
        finally:
            connection.close()

    def _partial_success(self, signal: Signal, headers: Mapping[str, str], body: bytes) -> None:
        if headers.get("Content-Type") != "application/x-protobuf" or not body:
            return
        partial = signal.response.FromString(body).partial_success
        say_rejected(self.log, "otlphttpexporter/otlp.go:360", partial)


def _go_error(error: Exception, address: str) -> str:
    if isinstance(error, TimeoutError):
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {address}: connect: connection refused"
    return "EOF" if isinstance(error, http.client.RemoteDisconnected) else str(error)


def _status_message(body: bytes) -> str | None:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from google.rpc import status_pb2  # type: ignore[import-untyped]

    try:
        return str(status_pb2.Status.FromString(body).message)
    except DecodeError:
        return None


def _retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After")
    if status not in {429, 503} or value is None:
        return None
    return float(value) if value.isdigit() else None
