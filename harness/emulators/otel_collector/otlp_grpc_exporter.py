"""The otlp_grpc exporter's wire: one unary call per request, errors in the words of Go's gRPC client."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from . import VERSION
from .failures import DEADLINE_EXCEEDED, UNAVAILABLE, Failure, from_grpc
from .logs import Log, say_rejected
from .signals import SIGNALS, Data, Signal

_DETAILS = "grpc-status-details-bin"
_ADDRESS = re.compile(r"(?:ipv4:|ipv6:)([^\s;]+?):? ")


def target(endpoint: str) -> str:
    """The dial target of an endpoint, without the scheme the configuration may carry."""
    return re.sub(r"^(https?://|dns:///?)", "", endpoint)


def split_target(endpoint: str) -> dict[str, str]:
    """The own metrics' address labels."""
    host, _, port = target(endpoint).rpartition(":")
    return {"server_address": host, "server_port": port}


@dataclass
class GrpcPush:
    """A channel to one backend. The channel reconnects by itself with gRPC's own back-off (1 s, growing)."""

    settings: Mapping[str, Any]
    log: Log
    channel: grpc.aio.Channel = field(init=False)

    def __post_init__(self) -> None:
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_http_proxy", 0),
            ("grpc.primary_user_agent", f"OpenTelemetry Collector Contrib/{VERSION} (linux/amd64)"),
        ]
        gzip = self.settings["compression"] == "gzip"
        compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
        self.channel = grpc.aio.insecure_channel(target(self.settings["endpoint"]), options, compression)
        self.metadata = tuple((key.lower(), str(value)) for key, value in self.settings["headers"].items())
        self.calls = {name: self._call(signal) for name, signal in SIGNALS.items()}

    def _call(self, signal: Signal) -> Any:
        return self.channel.unary_unary(
            f"/{signal.service}/Export",
            request_serializer=lambda data: data.SerializeToString(),
            response_deserializer=signal.response.FromString,
        )

    async def push(self, signal: Signal, data: Data) -> None:
        """Send once. Raises Failure; a partial success is only logged, as the real one does."""
        try:
            answer = await self.calls[signal.name](data, timeout=self.settings["timeout"], metadata=self.metadata)
        except grpc.aio.AioRpcError as error:
            raise to_failure(error, target(self.settings["endpoint"])) from error
        say_rejected(self.log, "otlpexporter/otlp.go:100", answer.partial_success)

    async def close(self) -> None:
        """Close the channel."""
        await self.channel.close(None)


def to_failure(error: grpc.aio.AioRpcError, address: str) -> Failure:
    """A gRPC status as the exporter judges it, with the description Go would give."""
    code = int(error.code().value[0])
    description = error.details() or ""
    if code == DEADLINE_EXCEEDED:
        description = "context deadline exceeded"
    elif code == UNAVAILABLE:
        description = _dial_words(description, address)
    retry_after, present = _retry_info(error)
    return from_grpc(code, description, retry_after, present)


def _dial_words(text: str, address: str) -> str:
    if "refused" in text:
        found = _ADDRESS.search(text)
        return (
            f'connection error: desc = "transport: Error while dialing: dial tcp {found[1] if found else address}: '
            'connect: connection refused"'
        )
    if "DNS resolution failed" in text or "name resolution" in text.lower():
        return "name resolver error: produced zero addresses"
    return text


def _retry_info(error: grpc.aio.AioRpcError) -> tuple[float | None, bool]:
    from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

    trailer: Any = error.trailing_metadata() or ()
    for key, value in trailer:
        if key != _DETAILS:
            continue
        for detail in status_pb2.Status.FromString(value).details:
            info = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                return info.retry_delay.ToNanoseconds() / 1e9 or None, True
    return None, False
